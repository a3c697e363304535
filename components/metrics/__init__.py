"""Metrics of an environment: what collects them, what warns by them, what shows them."""

from components.metrics.args import NAMESPACE, MetricsArgs, Receiver, Retention, WatchArgs
from components.metrics.managed import ManagedMetrics
from components.metrics.metrics import Metrics

__all__ = ["NAMESPACE", "ManagedMetrics", "Metrics", "MetricsArgs", "Receiver", "Retention", "WatchArgs"]
