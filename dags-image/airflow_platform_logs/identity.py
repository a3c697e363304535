"""Which try of which task a log file belongs to."""

import os
import re
from functools import lru_cache
from typing import NamedTuple

_FILE = re.compile(
    r"dag_id=(?P<dag_id>[^/]+)/run_id=(?P<run_id>[^/]+)/task_id=(?P<task_id>[^/]+)/"
    r"(?:map_index=(?P<map_index>\d+)/)?attempt=(?P<try_number>\d+)\.log(?:\.trigger\.\d+\.log)?"
)
"""Airflow's own `[logging] log_filename_template`, with what the triggerer appends."""


class Try(NamedTuple):
    """A try of a task. ``log_id`` can't be taken apart again: dashes are allowed in what it is made of."""

    log_id: str
    """``{dag_id}-{task_id}-{run_id}-{map_index}-{try_number}``, Airflow's default `[elasticsearch] log_id_template`."""
    dag_id: str
    task_id: str


@lru_cache(maxsize=4096)
def task_try(path: str) -> Try | None:
    """Whose log the file at ``path``, from the log folder on, is. None: no task's."""
    found = _FILE.fullmatch(path)
    if found is None:
        return None
    dag_id, task_id = found["dag_id"], found["task_id"]
    log_id = "-".join((dag_id, task_id, found["run_id"], found["map_index"] or "-1", found["try_number"]))
    return Try(log_id, dag_id, task_id)


def log_id(path: str) -> str | None:
    """The id alone."""
    found = task_try(path)
    return found.log_id if found else None


def try_of_file(file: object, folder: str) -> Try | None:
    """The same for an open file. None for anything that is no task's log file below ``folder``."""
    name = getattr(file, "name", None)
    if not isinstance(name, str) or not name.startswith(folder + os.sep):
        return None
    return task_try(name[len(folder) + 1 :])
