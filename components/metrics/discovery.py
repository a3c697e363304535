"""What Prometheus asks, and how it finds it: pods that say so of themselves, and the nodes' own figures of their pods.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from typing import Any

import yaml

from components.metrics.args import ALERTMANAGER_PORT, MetricsArgs
from components.workload import METRICS_PORTS

RULES = "rules.yml"
AIRFLOW_NAMESPACE = "airflow-(.+)"
CONTAINER_METRICS = (
    "container_cpu_usage_seconds_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_periods_total",
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
    "container_oom_events_total",
)
UNASKED = "erlang_.+"
"""Names of metrics that nobody asks for: a RabbitMQ has hundreds of them, and more for each core of its node."""
VOLUME_METRICS = ("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes")
"""Of the hundreds that a kubelet has, those that a dashboard or an alert asks for."""
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 (a path)
AUTHORITY = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

_OF_AIRFLOW = {"source_labels": ["namespace"], "regex": AIRFLOW_NAMESPACE, "target_label": "airflow"}


def prometheus_yml(args: MetricsArgs) -> str:
    """The configuration file. ``airflow`` is on everything of one Airflow: alerts are routed by it."""
    names = sorted(args.namespaces)
    configuration = {
        "global": {
            "scrape_interval": f"{args.interval_seconds}s",
            "scrape_timeout": "10s",
            "evaluation_interval": "15s",
            "external_labels": {"environment": args.environment},
        },
        "rule_files": [RULES],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"alertmanager:{ALERTMANAGER_PORT}"]}]}],
        },
        "scrape_configs": [_pods(args, names), *(_nodes(names, path) for path in ("/metrics/cadvisor", "/metrics"))],
    }
    return yaml.safe_dump(configuration, sort_keys=False)


def _pods(args: MetricsArgs, namespaces: list[str]) -> dict[str, Any]:
    meta = "__meta_kubernetes_pod"
    return {
        "job_name": "pods",
        # One that has more is not taken at all, rather than that it costs the others their room.
        "sample_limit": args.series_limit,
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": namespaces}}],
        "relabel_configs": [
            {"source_labels": [f"{meta}_annotation_prometheus_io_scrape"], "regex": "true", "action": "keep"},
            {
                "source_labels": [f"{meta}_container_port_name"],
                "regex": "|".join(METRICS_PORTS),
                "action": "keep",
            },
            {"source_labels": [f"{meta}_phase"], "regex": "Running", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": [f"{meta}_name"], "target_label": "pod"},
            {"source_labels": [f"{meta}_container_name"], "target_label": "container"},
            {"source_labels": [f"{meta}_label_app_kubernetes_io_component"], "target_label": "component"},
            _OF_AIRFLOW,
        ],
        # kube-state-metrics says of which namespace it speaks.
        "honor_labels": True,
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": UNASKED, "action": "drop"}, _OF_AIRFLOW],
    }


def _nodes(namespaces: list[str], path: str) -> dict[str, Any]:
    """The kubelets' figures, asked of the kubelets themselves.

    Through the API server it would take the right to ``nodes/proxy``, which is the right to run commands in every pod.
    """
    wanted = "|".join((*CONTAINER_METRICS, *VOLUME_METRICS))
    return {
        "job_name": f"nodes{path.replace('/', '-')}",
        "scheme": "https",
        "metrics_path": path,
        "honor_timestamps": False,
        # Kubelets sign their own certificates unless a cluster is told otherwise, and serve by address.
        "tls_config": {"ca_file": AUTHORITY, "insecure_skip_verify": True},
        "authorization": {"credentials_file": TOKEN},
        "kubernetes_sd_configs": [{"role": "node"}],
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": wanted, "action": "keep"},
            {"source_labels": ["namespace"], "regex": "|".join(namespaces), "action": "keep"},
            # The whole pod's, which every runtime shows; what its containers have is in it.
            {"source_labels": ["__name__", "container"], "regex": "container_.+;.+", "action": "drop"},
            {"regex": "id|name|image", "action": "labeldrop"},
            _OF_AIRFLOW,
        ],
    }
