"""Which try of which task a log file belongs to."""

import os
import re
from functools import lru_cache

_FILE = re.compile(
    r"dag_id=(?P<dag_id>[^/]+)/run_id=(?P<run_id>[^/]+)/task_id=(?P<task_id>[^/]+)/"
    r"(?:map_index=(?P<map_index>\d+)/)?attempt=(?P<try_number>\d+)\.log(?:\.trigger\.\d+\.log)?"
)
"""Airflow's own `[logging] log_filename_template`, with what the triggerer appends."""


@lru_cache(maxsize=4096)
def log_id(path: str) -> str | None:
    """``{dag_id}-{task_id}-{run_id}-{map_index}-{try_number}``, Airflow's default `[elasticsearch] log_id_template`.

    ``path`` is the file's, from the log folder on. None: it is no task's.
    """
    found = _FILE.fullmatch(path)
    if found is None:
        return None
    return "-".join(
        (found["dag_id"], found["task_id"], found["run_id"], found["map_index"] or "-1", found["try_number"])
    )


def log_id_of_file(file: object, folder: str) -> str | None:
    """The same for an open file. None for anything that is no task's log file below ``folder``."""
    name = getattr(file, "name", None)
    if not isinstance(name, str) or not name.startswith(folder + os.sep):
        return None
    return log_id(name[len(folder) + 1 :])
