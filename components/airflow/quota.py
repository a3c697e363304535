"""How much one Airflow may take of its cluster, and how much it needs at least."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.quantities import mebibytes, millicpus
from components.workload import Resources, metadata


@dataclass(frozen=True)
class QuotaArgs:
    """Arguments of ``limit_resources``.

    ``most`` is what all pods may request together, as a ResourceQuota writes it; ``default`` is what a container has
    that says nothing; ``highest`` are the highest limits of any container.
    """

    most: Mapping[str, str]
    default: Resources
    highest: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """One kind of pod: what each requests, and how many there are at most, those of a rolling update included."""

    name: str
    containers: Sequence[Resources]
    pods: int

    @property
    def cpu(self) -> int:
        """Of one pod, in thousandths of a CPU."""
        return math.ceil(sum(millicpus(one.cpu) for one in self.containers))

    @property
    def memory(self) -> int:
        """Of one pod, in MiB."""
        return math.ceil(sum(mebibytes(one.memory) for one in self.containers))


def limit_resources(
    name: str, args: QuotaArgs | None, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> tuple[pulumi.Resource, ...]:
    """Makes the ResourceQuota and the LimitRange of the Airflow ``name``; nothing without ``args``.

    Where a quota counts requests, Kubernetes refuses a pod that has none: hence the defaults.
    """
    if args is None:
        return ()
    opts = pulumi.ResourceOptions(parent=parent)
    default = args.default
    containers: kubernetes.core.v1.LimitRangeItemArgsDict = {
        "type": "Container",
        "default_request": {"cpu": default.cpu, "memory": default.memory},
        "default": {"cpu": default.cpu_limit, "memory": default.memory_limit},
    }
    if args.highest:
        containers["max"] = dict(args.highest)
    made: list[pulumi.Resource] = []
    limits = metadata("containers", namespace)
    made.append(
        kubernetes.core.v1.LimitRange(f"{name}-limits", metadata=limits, spec={"limits": [containers]}, opts=opts)
    )
    if args.most:
        made.append(
            kubernetes.core.v1.ResourceQuota(
                f"{name}-quota", metadata=metadata("airflow", namespace), spec={"hard": dict(args.most)}, opts=opts
            )
        )
    return tuple(made)
