"""Runs one DAG in this process, without a cluster: a throw-away database, no scheduler, one task after the other.

Usage: run.py DAG DATE [--dags FOLDER]    with a Python that has Airflow; `make dags-run DAG=… DATE=…` finds one.
Connections and variables come from the environment: AIRFLOW_CONN_<ID>, AIRFLOW_VAR_<NAME>.
Exit code: 0 the run succeeded, 1 it did not, 2 there is nothing to run.
"""

import argparse
import difflib
import os
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class Unrunnable(Exception):
    """Nothing was run; the text says why and what to do."""


def parse_date(text: str) -> datetime:
    """The moment that ``text`` names; without a time zone, UTC. Raises Unrunnable."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unrunnable(
            f"DATE={text} is no date.\nMend: write it like DATE=2026-03-01, or with a time, DATE=2026-03-01T06:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def choose(name: str, dags: dict[str, Any], errors: dict[str, str]) -> Any:
    """The DAG ``name``. Raises Unrunnable with the names that are near, and the files that can't be read."""
    if name in dags:
        return dags[name]
    near = difflib.get_close_matches(name, dags, n=3)
    mend = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(sorted(dags)) or 'none'}."
    broken = [f"  {Path(file).name}: {text.strip().splitlines()[-1]}" for file, text in errors.items()]
    listed = "\nThese files can't be imported, what is in them is not known:\n" + "\n".join(broken) if broken else ""
    raise Unrunnable(f"there is no DAG '{name}'. {mend}{listed}")


def use_home(home: str, dags: Path) -> None:
    """Make Airflow, once it is imported, keep everything in ``home``."""
    os.environ.update(
        {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(HERE / "plugins"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": os.environ.get("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "PYTHONWARNINGS": "ignore",
        }
    )
    warnings.simplefilter("ignore")


def try_once(task: Any) -> None:
    """Take a task's retries away: who sits in front of it does not want to wait for the same error again."""
    if task.is_mapped:
        task.partial_kwargs["retries"] = 0
    else:
        task.retries = 0


def report(run: Any, seconds: float) -> str:
    """What became of each task, and of the run."""
    tasks = sorted(run.get_task_instances(), key=lambda task: (task.start_date is None, task.start_date, task.task_id))
    names = [task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else "") for task in tasks]
    width = max(map(len, names))
    lines = [
        f"  {name:<{width}}  {task.state or 'not run':<16}" + (f"{task.duration:6.1f} s" if task.duration else "")
        for name, task in zip(names, tasks, strict=True)
    ]
    return "\n".join(["", *lines, "", f"{run.dag_id}: {run.state} in {seconds:.1f} s"])


def run(name: str, moment: datetime, dags: Path) -> bool:
    """Run the DAG; whether it succeeded."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 (after the home is set)
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415
    from airflow.utils.db import initdb  # noqa: PLC0415

    bag = DagBag(dag_folder=dags, bundle_path=dags, bundle_name="dags-folder")
    chosen = choose(name, bag.dags, bag.import_errors)
    for task in chosen.tasks:
        try_once(task)
    initdb()
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    begun = time.monotonic()
    done = chosen.test(logical_date=moment)
    print(report(done, time.monotonic() - begun))
    return str(done.state) == "success"


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dag")
    parser.add_argument("date")
    parser.add_argument("--dags", type=Path, default=HERE / "dags")
    chosen = parser.parse_args(arguments)
    try:
        moment = parse_date(chosen.date)
        if not chosen.dag:
            raise Unrunnable("which DAG?\nMend: make dags-run DAG=example_hello_daily DATE=2026-03-01.")
        with tempfile.TemporaryDirectory(prefix="airflow-home-") as home:
            use_home(home, chosen.dags.resolve())
            return 0 if run(chosen.dag, moment, chosen.dags.resolve()) else 1
    except Unrunnable as reason:
        print(reason, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
