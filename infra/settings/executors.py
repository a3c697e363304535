"""Which executors an Airflow has: one, or several, of which a task may name one."""

from enum import StrEnum
from typing import Annotated

from pydantic import PlainValidator


class Executor(StrEnum):
    """How an Airflow runs its tasks."""

    KUBERNETES = "KubernetesExecutor"
    """Each task in a pod of its own, without access to the metadata database."""
    CELERY = "CeleryExecutor"
    """Tasks by workers that are always there, each serving a queue."""
    LOCAL = "LocalExecutor"
    """Tasks as processes of the scheduler's pod; they end when that pod does."""


def _executors(given: object) -> tuple[Executor, ...]:
    names = given if isinstance(given, list | tuple) else [given]
    known = [str(one) for one in Executor]
    if not names or not all(name in known for name in names):
        *most, last = (f"'{name}'" for name in known)
        raise ValueError(f"must be {', '.join(most)} or {last}, or a list of these, the default first")
    if len(set(names)) < len(names):
        raise ValueError("names an executor twice. Name each once")
    return tuple(Executor(str(name)) for name in names)


Executors = Annotated[tuple[Executor, ...], PlainValidator(_executors)]
"""In a stack file one name, or a list of names. Airflow refuses one that is named twice
(airflow/executors/executor_loader.py of 3.3.2)."""
