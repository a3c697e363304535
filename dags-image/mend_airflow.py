"""Mends Airflow's task supervisor in the image that is being built: a slot that is free is used at once.

When a task's process ends, its sockets close a moment before it can be waited for. Airflow 3.3.2's supervisor wakes
from the last socket's end, finds the process still there, and waits again, for nothing is left to wake it, until
the next heartbeat: five seconds (``[workers] min_heartbeat_interval``). About every second task does that, with every
executor. The task's state is not late, but its worker's slot, or its pod, is held that long.

Usage: mend_airflow.py    with the Python that Airflow is installed for. One that reads otherwise is left as it is.
"""

import importlib.metadata
import py_compile
import sys
from pathlib import Path

PACKAGE = "apache-airflow-task-sdk"
MODULE = "airflow/sdk/execution_time/supervisor.py"
BEFORE = """\
        timeout = max(0.01, max_wait_time)
        events = self.selector.select(timeout=timeout)
"""
AFTER = """\
        timeout = max(0.01, max_wait_time)
        # airflow-platform: no socket is left to wake us when the process ends, so look for that often.
        if not self.selector.get_map():
            timeout = min(timeout, 0.05)
        events = self.selector.select(timeout=timeout)
"""


def mended(source: str) -> str | None:
    """The supervisor's text with the mend; None where it is not known where it belongs."""
    return source.replace(BEFORE, AFTER) if source.count(BEFORE) == 1 else None


def main() -> None:
    """Mend the installed one."""
    try:
        file = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(MODULE)))
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"{PACKAGE} is not installed here.\nMend: build on an image that has Airflow 3.")
    after = mended(file.read_text(encoding="utf-8"))
    if after is None:
        print(f"{file} is not as in Airflow 3.3.2: left as it is. Look whether tasks still hold their slots too long.")
        return
    file.write_text(after, encoding="utf-8")
    # Else every process of a read-only container would compile it anew.
    py_compile.compile(str(file), doraise=True)
    print(f"{file} mended: see mend_airflow.py.")


if __name__ == "__main__":
    main()
