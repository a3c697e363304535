"""What keeps workloads up while nodes are drained: disruption budgets."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.workload import Labels, metadata

MORE_THAN_EVER = 1_000_000
"""Pods. A cluster of Google's holds 200,000 (https://cloud.google.com/kubernetes-engine/quotas)."""


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


def until_done(
    resource: str, name: str, namespace: pulumi.Output[str], selector: Labels, parent: pulumi.Resource
) -> kubernetes.policy.v1.PodDisruptionBudget:
    """A drain waits until the pods of ``selector`` have ended by themselves: none of them is evicted while it runs. An
    empty selector: all of the namespace.

    For pods without a controller. A budget for those can only say how many must stay, as a number; with more than there
    ever are, the answer is always no. One that isn't ready may go: its node is lost.
    (https://kubernetes.io/docs/tasks/run-application/configure-pdb/#arbitrary-controllers-and-selectors)
    """
    return kubernetes.policy.v1.PodDisruptionBudget(
        resource,
        metadata=metadata(name, namespace),
        spec={
            "min_available": MORE_THAN_EVER,
            "unhealthy_pod_eviction_policy": "AlwaysAllow",
            "selector": {"match_labels": selector} if selector else {},
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
