"""What watches an environment: Prometheus with its alerts, Alertmanager, and what people look at."""

from dataclasses import replace

import pulumi
import pulumi_kubernetes as kubernetes

from components.ingress.labels import METRICS_READERS, REACHED
from components.metrics.access import restrict_network
from components.metrics.alertmanager import run_alertmanager
from components.metrics.args import NAMESPACE, PROMETHEUS_PORT, MetricsArgs
from components.metrics.grafana import run_grafana
from components.metrics.prometheus import run_prometheus
from components.metrics.state import run_state
from components.workload import RESTRICTED, metadata


class Metrics(pulumi.ComponentResource):
    """A namespace ``metrics`` for all Airflows of an environment.

    Deliberately not here: each Airflow's statsd exporter, which is of its own namespace (components/airflow/statsd.py).
    """

    namespace: pulumi.Output[str]
    url: pulumi.Output[str]
    """Prometheus, inside the cluster."""
    grafana: pulumi.Resource | None
    """The Service ``grafana``, where there is one."""

    def __init__(self, name: str, args: MetricsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:metrics:Metrics", name, None, opts)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels={**RESTRICTED, **REACHED, **METRICS_READERS}),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.namespace = namespace.metadata.name
        args = replace(args, namespaces={**args.namespaces, NAMESPACE: self.namespace})
        restricted = restrict_network(name, args, self.namespace, self)
        alertmanager = run_alertmanager(name, args, self.namespace, self, restricted)
        prometheus = run_prometheus(name, args, self.namespace, self, [alertmanager, *restricted])
        if args.state_image:
            run_state(name, args.state_image, args, self.namespace, self, restricted)
        self.grafana = None
        if args.grafana_image:
            self.grafana = run_grafana(name, args.grafana_image, args, self.namespace, self, [prometheus])
        self.url = prometheus.id.apply(lambda _: f"http://prometheus.{NAMESPACE}.svc.cluster.local:{PROMETHEUS_PORT}")
        self.register_outputs({"namespace": self.namespace, "url": self.url})
