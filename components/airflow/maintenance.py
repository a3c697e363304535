"""A pod to look around in: Airflow's command line, the DAGs and the database, and nothing that runs by itself."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.access import ServiceAccounts
from components.airflow.pods import Blueprint
from components.workload import Resources, metadata, pod_template, selector

PART = "maintenance"
RESOURCES = Resources(cpu="10m", memory="32Mi", cpu_limit="1", memory_limit="1Gi")
"""It sleeps: what it asks for is next to nothing. What a person starts in it may take a command's worth of memory."""


def maintenance_pod(
    blueprint: Blueprint,
    namespace: pulumi.Output[str],
    accounts: ServiceAccounts,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.apps.v1.Deployment:
    """Makes it in ``namespace``. Whoever may run commands in it holds all of this Airflow's secrets."""
    pod = blueprint.component_pod(
        PART,
        ["sleep", "infinity"],
        RESOURCES,
        direct=True,
        service_account=accounts.components,
        reads_dags=True,
        grace_period_seconds=5,
    )
    return kubernetes.apps.v1.Deployment(
        f"{blueprint.name}-{PART}",
        metadata=metadata(PART, namespace, blueprint.labels(PART)),
        spec={
            "replicas": 1,
            "revision_history_limit": 1,
            # Nothing waits for it, so there is never a second one.
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": selector(blueprint.name, PART)},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on)),
    )
