"""The way in: a controller, its certificate, and which host leads where."""

from components.ingress.args import ExistingSecret, Exposure, Given, IngressArgs, Issued, SelfSigned, Tls
from components.ingress.controller import IngressController
from components.ingress.routes import Backend, Limit, Routes, SharedController

__all__ = [
    "Backend",
    "ExistingSecret",
    "Exposure",
    "Given",
    "IngressArgs",
    "IngressController",
    "Issued",
    "Limit",
    "Routes",
    "SelfSigned",
    "SharedController",
    "Tls",
]
