"""Metrics of an environment: what collects them, what warns by them, what shows them."""

from components.metrics.args import NAMESPACE, MetricsArgs, Receiver, Retention
from components.metrics.metrics import Metrics

__all__ = ["NAMESPACE", "Metrics", "MetricsArgs", "Receiver", "Retention"]
