"""Who goes first where there is no room for all pods: Airflow's components, then tasks, then backfills.

PriorityClasses belong to a whole cluster and are made once for an environment. A cluster holds one environment, whose
namespaces have fixed names, too (docs/teams.md).
"""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.workload import metadata

COMPONENTS: Final = "airflow-platform-components"
TASKS: Final = "airflow-platform-tasks"
BACKFILL: Final = "airflow-platform-backfill"


@dataclass(frozen=True)
class _Class:
    value: int
    preempts: bool
    description: str


# Above 0, which pods without a class have, and above -10, below which the cluster autoscaler adds no node for a pod
# (https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md, expendable-pods-priority-cutoff).
# Only components may push others out: without them no task comes to an end. A task that waits kills no other one.
_CLASSES: Final = {
    COMPONENTS: _Class(100_000, True, "Airflow's own parts and what they stand on"),
    TASKS: _Class(10_000, False, "Tasks: scheduled before backfills, never at the cost of a task that runs"),
    BACKFILL: _Class(1_000, False, "Tasks of backfills: scheduled when no other one waits"),
}


class Priorities(pulumi.ComponentResource):
    """The three PriorityClasses. Their names are constants of this module; the outputs are known when they exist."""

    components: pulumi.Output[str]
    tasks: pulumi.Output[str]
    backfill: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:kubernetes:Priorities", name, None, opts)
        made = {
            object_name: kubernetes.scheduling.v1.PriorityClass(
                object_name,
                metadata=metadata(object_name),
                value=wanted.value,
                preemption_policy="PreemptLowerPriority" if wanted.preempts else "Never",
                description=wanted.description,
                # Old first: nearly everything of a PriorityClass is immutable, and its name is fixed.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            ).metadata.name
            for object_name, wanted in _CLASSES.items()
        }
        self.components, self.tasks, self.backfill = made[COMPONENTS], made[TASKS], made[BACKFILL]
        self.register_outputs({"components": self.components, "tasks": self.tasks, "backfill": self.backfill})
