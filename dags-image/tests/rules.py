"""What every DAG must keep to before an image is built. Change it to your team's rules; test_rules.py tests it."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROBE = Path(__file__).parent / "probe.py"
LIMIT = 300.0
"""Seconds for the import of all files together: more hangs."""


def dag_files(folder: Path) -> list[Path]:
    """The Python files below ``folder``."""
    return sorted(folder.rglob("*.py"))


def inspect(files: Sequence[Path]) -> dict[Path, dict[str, Any]]:
    """Import ``files`` in a process of its own, without network, writing or other programs, and report each."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "PYTHONWARNINGS": "ignore",
        }
        done = subprocess.run(
            [sys.executable, PROBE, *[file.resolve() for file in files]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the files could not be imported:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    reports = json.loads(done.stdout.rstrip().splitlines()[-1])
    return {Path(name): report for name, report in reports.items()}


def problems(report: dict[str, Any]) -> list[str]:
    """Every rule that the DAGs of one file break, in words."""
    found = [f"does not import: {error}" for error in report["errors"]]
    found += [f"does input or output while it is imported: {what} (put it into a task)" for what in report["io"]]
    for dag in report["dags"]:
        name = dag["dag_id"]
        if not (dag["description"] or "").strip():
            found.append(f"{name} has no description (set description to one line that says what it is for)")
        if not dag["tasks"]:
            found.append(f"{name} has no task (a function with @task makes one only where it is called)")
        for task in dag["tasks"]:
            where = f"{name}.{task['task_id']}"
            if task["owner"] in ("", "airflow"):
                found.append(f"{where} has no owner (set owner in default_args to a person or team)")
            if task["retries"] < 1:
                found.append(f"{where} has no retries (set retries in default_args to 1 or more)")
            if not (task["execution_timeout"] or dag["dagrun_timeout"]):
                found.append(f"{where} has no time-out (execution_timeout, or dagrun_timeout for the whole DAG)")
    return found


def doubled_ids(reports: dict[Path, dict[str, Any]]) -> list[str]:
    """The DAG ids that more than one DAG has."""
    counts = Counter(dag["dag_id"] for report in reports.values() for dag in report["dags"])
    return sorted(name for name, count in counts.items() if count > 1)
