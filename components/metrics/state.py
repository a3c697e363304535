"""kube-state-metrics: what the Kubernetes API says of pods, quotas, Jobs and volumes, as figures.

https://github.com/kubernetes/kube-state-metrics/blob/v2.18.0/docs/developer/cli-arguments.md
"""

from collections.abc import Sequence

import pulumi

from components.metrics.access import READ_STATE, account, allow_in
from components.metrics.args import WatchArgs
from components.metrics.server import Server, run_server
from components.workload import Resources

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


def run_state(
    name: str,
    image: str,
    args: WatchArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> Server:
    """Makes it. It may list only what it shows, in the namespaces that are measured."""
    who = account(name, PART, namespace, parent).metadata.name
    allowed = allow_in(PART, READ_STATE, args, who, namespace, parent)
    server = Server(
        part=PART,
        name="kube-state-metrics",
        image=image,
        user=65534,  # of the image
        args=[
            f"--port={PORT}",
            f"--telemetry-port={TELEMETRY_PORT}",
            f"--namespaces={','.join(sorted(args.namespaces))}",
            f"--resources={','.join(RESOURCE_KINDS)}",
            f"--metric-allowlist={','.join(METRICS)}",
        ],
        resources=Resources(cpu="10m", memory="48Mi", cpu_limit="500m", memory_limit="256Mi"),
        ports={"metrics": PORT, "telemetry": TELEMETRY_PORT},
        ready=("/readyz", TELEMETRY_PORT),
        healthy=("/livez", PORT),
        starts_within=120,
        api_access=True,
    )
    run_server(name, server, args, namespace, who, parent, [*allowed, *depends_on])
    return server
