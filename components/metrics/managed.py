"""Google Managed Prometheus: Google collects, keeps and evaluates; here is what is collected, which alerts, for whom.

https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed; the resources' schemas:
https://github.com/GoogleCloudPlatform/prometheus-engine/tree/main/charts/operator/crds
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

from components.metrics.access import state_policy
from components.metrics.alertmanager import alertmanager_yml
from components.metrics.alerts import rules
from components.metrics.args import NAMESPACE, Receiver, WatchArgs
from components.metrics.discovery import AIRFLOW_NAMESPACE, UNASKED
from components.metrics.server import Server
from components.metrics.state import run_state
from components.network import GOOGLES_COLLECTORS, deny_by_default
from components.workload import METRICS_PORTS, RESTRICTED, metadata

API = "monitoring.googleapis.com/v1"
JOB = "pods"
"""The label ``job`` of what is collected: the resource's name. Alerts ask for it, as in ``discovery``."""
RULES = "airflow-platform"
PUBLIC = "gmp-public"
"""Google's namespace for what its users configure."""
CONFIG = "alertmanager.yaml"


class ManagedMetrics(pulumi.ComponentResource):
    """What Google is asked to collect, to find, and to tell whom. Pictures are Google's own: *Metrics explorer*.

    Has the token of ``Metrics``: a stack that goes from one to the other keeps namespace and kube-state-metrics.
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: WatchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:metrics:Metrics", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for measured, namespace in sorted(args.namespaces.items()):
            CustomResource(
                f"{measured}-pod-monitoring",
                api_version=API,
                kind="PodMonitoring",
                metadata=metadata(JOB, namespace),
                spec=pod_monitoring(measured, args),
                opts=child,
            )
        CustomResource(
            f"{name}-rules",
            api_version=API,
            kind="ClusterRules",
            metadata=metadata(RULES),
            spec=pulumi.Output.from_input(args.certificate).apply(lambda end: cluster_rules(args, end)),
            opts=child,
        )
        if args.receivers:
            _tell(name, args.receivers, child)
        made = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels=RESTRICTED),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.namespace = made.metadata.name
        if args.state_image:
            self._show_state(name, args.state_image, args)
        self.register_outputs({"namespace": self.namespace})

    def _show_state(self, name: str, image: str, args: WatchArgs) -> None:
        restricted: list[pulumi.Resource] = []
        if args.network:
            allowed = state_policy(name, args.network, GOOGLES_COLLECTORS, self.namespace, self)
            restricted = [
                allowed,
                deny_by_default(f"{name}-network-default-deny", self.namespace, self, [allowed]),
            ]
        within = replace(args, namespaces={**args.namespaces, NAMESPACE: self.namespace})
        server = run_state(name, image, within, self.namespace, self, restricted)
        CustomResource(
            f"{name}-state-monitoring",
            api_version=API,
            kind="ClusterPodMonitoring",
            metadata=metadata("airflow-platform-state"),
            spec=state_monitoring(server, args),
            opts=pulumi.ResourceOptions(parent=self),
        )


def pod_monitoring(namespace: str, args: WatchArgs) -> dict[str, Any]:
    """What is collected of the pods in ``namespace``: every port with the name of one that shows metrics.

    ``airflow`` comes from a label of the pods, not of each metric: so it is on ``up``, too.
    """
    from_pod = [{"from": "app.kubernetes.io/component", "to": "component"}]
    if namespace.startswith("airflow-"):
        from_pod.append({"from": "app.kubernetes.io/instance", "to": "airflow"})
    dropped = [{"sourceLabels": ["__name__"], "regex": UNASKED, "action": "drop"}]
    asked = {"interval": f"{args.interval_seconds}s", "metricRelabeling": dropped}
    return {
        "selector": {},
        "endpoints": [{"port": port, **asked} for port in METRICS_PORTS],
        "targetLabels": {"metadata": ["pod", "container"], "fromPod": from_pod},
        "limits": {"samples": args.series_limit},
    }


def state_monitoring(server: Server, args: WatchArgs) -> dict[str, Any]:
    """What kube-state-metrics says, with its own labels: the pods and namespaces are those that it speaks of."""
    of_airflow = {
        "sourceLabels": ["namespace"],
        "regex": AIRFLOW_NAMESPACE,
        "targetLabel": "airflow",
        "replacement": "$1",
    }
    endpoint = {"port": "metrics", "interval": f"{args.interval_seconds}s", "metricRelabeling": [of_airflow]}
    return {
        "selector": {"matchLabels": server.selector},
        "endpoints": [endpoint],
        "targetLabels": {"metadata": []},
        "limits": {"samples": args.series_limit},
    }


def cluster_rules(args: WatchArgs, certificate: int | None) -> dict[str, Any]:
    """The alerts that a Prometheus of one's own has, for this cluster alone. Those without a source here never fire."""
    groups = rules(args.series_limit, certificate, args.connections)["groups"]
    return {"groups": [{**group, "interval": "30s"} for group in groups]}


def _tell(name: str, receivers: Sequence[Receiver], child: pulumi.ResourceOptions) -> None:
    """The configuration of Google's Alertmanager, which reads one Secret and no other file."""
    secrets = [one.secret for one in receivers]
    text = pulumi.Output.all(*secrets).apply(
        lambda known: alertmanager_yml([inlined(*one) for one in zip(receivers, known, strict=True)])
    )
    kubernetes.core.v1.Secret(
        f"{name}-alertmanager",
        metadata=metadata("alertmanager", PUBLIC),
        string_data={CONFIG: pulumi.Output.secret(text)},
        opts=child,
    )


def inlined(receiver: Receiver, secret: str | None) -> Receiver:
    """The ``receiver`` with its ``secret`` in the place of the file that would hold it."""

    def within(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key.removesuffix("_file"): secret if key.endswith("_file") else within(inner)
                for key, inner in value.items()
            }
        return [within(inner) for inner in value] if isinstance(value, list) else value

    return replace(receiver, settings=within(receiver.settings))
