"""Settings of task pods: shapes that DAGs choose by name, and the lane that backfills take."""

from typing import Annotated

from pydantic import Field, StringConstraints

from infra.settings.base import Cpu, DnsLabel, Quantity, SettingsModel

BACKFILL_QUEUE = "backfill"
"""Where tasks of backfills go that have a lane of their own."""


class TaskShape(SettingsModel):
    """What the pod of a task that asks for this shape has instead of the default. What is left out stays."""

    cpu: Cpu | None = None
    memory: Quantity | None = None
    cpu_limit: Cpu | None = None
    """None: the default's, but at least ``cpu``."""
    memory_limit: Quantity | None = None
    """None: ``memory``, so that no node runs out of it."""
    task_pool: DnsLabel | None = None
    """The pool of nodes, of those in ``cluster.taskPools``. Only pods of that pool's shapes may run there."""
    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]+$")] | None = None
    """Instead of the Airflow's own; it must hold the same Airflow, and with kind ``image`` the DAGs."""


class Backfill(SettingsModel):
    """A lane of its own for runs of type backfill: queue and pool ``backfill``, a low priority, nodes if named."""

    slots: Annotated[int, Field(ge=1, le=2048)] = 16
    """Most tasks of backfills that run at once; fewer than ``parallelism``, the rest is for today's runs."""
    task_pool: DnsLabel | None = None
    """The pool of nodes, of those in ``cluster.taskPools``. None: the tasks' own. Shapes with a pool keep theirs."""
