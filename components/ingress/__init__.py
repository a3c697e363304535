"""The way in: a controller, its certificate, and which host leads where."""

from components.ingress.args import (
    AcmeIssuer,
    ExistingSecret,
    Exposure,
    Given,
    IngressArgs,
    Issued,
    Issuer,
    SelfSigned,
    Synced,
    Tls,
)
from components.ingress.controller import IngressController
from components.ingress.routes import Backend, Limit, Routes, SharedController

__all__ = [
    "AcmeIssuer",
    "Backend",
    "ExistingSecret",
    "Exposure",
    "Given",
    "IngressArgs",
    "IngressController",
    "Issued",
    "Issuer",
    "Limit",
    "Routes",
    "SelfSigned",
    "SharedController",
    "Synced",
    "Tls",
]
