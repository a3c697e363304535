"""kube-state-metrics: what the Kubernetes API says of pods, quotas, Jobs and volumes, as figures.

https://github.com/kubernetes/kube-state-metrics/blob/v2.18.0/docs/developer/cli-arguments.md
"""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.metrics.access import READ_STATE, account, allow_in
from components.metrics.args import NAMESPACE, MetricsArgs
from components.versions import version_label
from components.workload import Container, Pod, Resources, labels, metadata, pod_template, selector

PART = "state"
PORT = 8080
TELEMETRY_PORT = 8081
RESOURCE_KINDS = ("cronjobs", "deployments", "jobs", "persistentvolumeclaims", "pods", "resourcequotas", "statefulsets")
METRICS = (
    "kube_cronjob_spec_suspend",
    "kube_cronjob_status_last_successful_time",
    "kube_cronjob_created",
    "kube_deployment_spec_replicas",
    "kube_deployment_status_replicas_available",
    "kube_job_status_failed",
    "kube_persistentvolumeclaim_resource_requests_storage_bytes",
    "kube_pod_container_resource_limits",
    "kube_pod_container_resource_requests",
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_waiting_reason",
    "kube_pod_status_phase",
    "kube_resourcequota",
    "kube_statefulset_replicas",
    "kube_statefulset_status_replicas_ready",
)
"""What dashboards and alerts ask for."""
_UID = 65534  # of the image


def run_state(
    name: str,
    image: str,
    args: MetricsArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> None:
    """Makes it. It may list only what it shows, in the namespaces that are measured."""
    who = account(name, PART, namespace, parent)
    allowed = allow_in(PART, READ_STATE, args, who.metadata.name, namespace, parent)
    chosen = selector(NAMESPACE, PART, NAMESPACE)
    alive: ProbeArgsDict = {"http_get": {"path": "/livez", "port": PORT}, "timeout_seconds": 5}
    ready: ProbeArgsDict = {"http_get": {"path": "/readyz", "port": TELEMETRY_PORT}, "timeout_seconds": 5}
    pod = Pod(
        labels=labels(NAMESPACE, PART, version_label(image), NAMESPACE),
        service_account=who.metadata.name,
        user=_UID,
        group=_UID,
        api_access=True,
        nodes=args.nodes,
        priority=args.priority,
        containers=[
            Container(
                name="kube-state-metrics",
                image=image,
                args=[
                    f"--port={PORT}",
                    f"--telemetry-port={TELEMETRY_PORT}",
                    f"--namespaces={','.join(sorted(args.namespaces))}",
                    f"--resources={','.join(RESOURCE_KINDS)}",
                    f"--metric-allowlist={','.join(METRICS)}",
                ],
                resources=Resources(cpu="10m", memory="48Mi", cpu_limit="500m", memory_limit="256Mi"),
                ports={"metrics": PORT, "telemetry": TELEMETRY_PORT},
                startup_probe={**alive, "period_seconds": 1, "failure_threshold": 120},
                readiness_probe={**ready, "period_seconds": 10},
                liveness_probe={**alive, "period_seconds": 30, "failure_threshold": 3},
            )
        ],
    )
    kubernetes.apps.v1.Deployment(
        f"{name}-{PART}",
        metadata=metadata("kube-state-metrics", namespace),
        spec={
            "replicas": 1,
            "revision_history_limit": 3,
            "selector": {"match_labels": chosen},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[*allowed, *depends_on]),
    )
