"""What keeps a replicated workload up while nodes are drained: a disruption budget."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.workload import Labels, metadata


def disruption_budget(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    selector: Labels,
    replicas: int,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource] = (),
) -> kubernetes.policy.v1.PodDisruptionBudget | None:
    """Drains take one pod of ``selector`` at a time. None for a single replica: a budget would block every drain.

    A pod that is not ready may go at any time: kept, it would block the drain of its node for ever
    (https://kubernetes.io/docs/tasks/run-application/configure-pdb/#unhealthy-pod-eviction-policy).
    """
    if replicas < 2:
        return None
    return kubernetes.policy.v1.PodDisruptionBudget(
        resource,
        metadata=metadata(name, namespace),
        spec={
            "max_unavailable": 1,
            "unhealthy_pod_eviction_policy": "AlwaysAllow",
            "selector": {"match_labels": selector},
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on)),
    )
