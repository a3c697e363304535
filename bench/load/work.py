"""Lets an Airflow work off the DAGs of tests/cluster/dags/load.py, and counts by its REST API what came of it."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.airflow_api import AirflowApi
from testbed.progress import Failure

PREFIX = "load_"
OURS = f"dag_id_prefix_pattern={PREFIX}"
POLL_SECONDS = 2.0
PATIENCE_SECONDS = 120
"""Under load an api-server may be too busy to answer in time."""


@dataclass(frozen=True)
class Size:
    """How many DAGs, one run each, and how many tasks in all of them together."""

    dags: int
    tasks: int

    def write(self, dags_folder: Path) -> None:
        """Have the DAG file in ``dags_folder`` make as many."""
        (dags_folder / "load.json").write_text(json.dumps(asdict(self)), encoding="utf-8")


DAY = Size(dags=240, tasks=5400)
"""What a well-known talk about Airflow on Kubernetes names as its day."""
FEW = Size(dags=4, tasks=24)
"""What the DAG file makes by itself."""


@dataclass(frozen=True)
class Counted:
    """What the REST API says when every run has ended, or time was up.

    ``seconds`` are from the moment when the DAGs were let go to the end of the last task.
    """

    runs: int
    succeeded: int
    tasks: int
    at_first_try: int
    more_tries: int
    seconds: float

    @property
    def failed(self) -> int:
        """Tasks that have not succeeded, for whatever reason."""
        return self.tasks - self.at_first_try - self.more_tries

    @property
    def rate(self) -> float:
        """Tasks a second."""
        return (self.at_first_try + self.more_tries) / self.seconds

    def is_whole(self, size: Size) -> bool:
        """Whether every run succeeded, and every task of it at its first try."""
        return (self.runs, self.succeeded, self.tasks, self.at_first_try) == (
            size.dags,
            size.dags,
            size.tasks,
            size.tasks,
        )


def work_off(
    api: AirflowApi,
    size: Size,
    deadline_seconds: float,
    look: Callable[[str], None] = lambda _: None,
) -> Counted:
    """Let all DAGs go at once, wait until every run has ended, and count.

    ``look`` is called every other second and told how far it is. After ``deadline_seconds`` the DAGs are held again,
    and what has been done by then counts.
    """
    _await_dags(api, size)
    began = time.time()
    _let_go(api, go=True)
    end = time.monotonic() + deadline_seconds
    try:
        while (ended := _runs(api, "state=success") + _runs(api, "state=failed")) < size.dags:
            look(f"{ended} of {size.dags} runs, {time.time() - began:.0f} s")
            if time.monotonic() > end:
                break
            time.sleep(POLL_SECONDS)
    finally:
        _let_go(api, go=False)
    return _count(api, began)


def first_tries(api: AirflowApi, most: int = 3) -> list[str]:
    """What became of tasks that needed more than one try: the ends of their first tries' logs, of ``most`` of them."""
    said: list[str] = []
    for number in (2, 3):
        path = f"/dags/~/dagRuns/~/taskInstances?{OURS}&try_number={number}&limit={most}"
        found = api.get(path, PATIENCE_SECONDS)["task_instances"]
        for task in found[: most - len(said)]:
            lines = api.log(task["dag_id"], task["dag_run_id"], task, attempt=1)
            said.append("\n    ".join([f"{task['dag_id']}.{task['task_id']}, first try:", *lines[-20:]]))
    return said


def moment(text: str) -> float:
    """Seconds since 1970 of a time as the REST API writes it."""
    return datetime.fromisoformat(text).timestamp()


def total(api: AirflowApi, path: str) -> int:
    """How many there are of what ``path`` lists."""
    return int(api.get(f"{path}&limit=1", PATIENCE_SECONDS)["total_entries"])


def _await_dags(api: AirflowApi, size: Size) -> None:
    end = time.monotonic() + 300
    while (found := total(api, f"/dags?{OURS}")) < size.dags:
        errors = api.import_errors()
        if errors or time.monotonic() > end:
            raise Failure(
                f"{found} of {size.dags} DAGs were read; files that do not import: {errors or 'none'}.\n"
                "Mend: look at the dag-processor's log."
            )
        time.sleep(POLL_SECONDS)


def _let_go(api: AirflowApi, go: bool) -> None:
    """Begin or hold all DAGs in one request."""
    # Airflow 3.3.2 changes nothing where only the beginning of the names is given, and changes all whatever the page.
    api.patch(f"/dags?dag_id_pattern={PREFIX}", {"is_paused": not go})
    if left := total(api, f"/dags?{OURS}&paused={str(go).lower()}"):
        raise Failure(f"{left} DAGs are still {'held' if go else 'let go'}.\nMend: look at the api-server's log.")


def _count(api: AirflowApi, began: float) -> Counted:
    tasks = f"/dags/~/dagRuns/~/taskInstances?{OURS}"
    done = f"{tasks}&state=success"
    first = total(api, f"{done}&try_number=1")
    last: list[dict[str, Any]] = api.get(f"{done}&order_by=-end_date&limit=1", PATIENCE_SECONDS)["task_instances"]
    return Counted(
        runs=_runs(api),
        succeeded=_runs(api, "state=success"),
        tasks=total(api, tasks),
        at_first_try=first,
        more_tries=total(api, done) - first,
        seconds=(moment(last[0]["end_date"]) if last else time.time()) - began,
    )


def _runs(api: AirflowApi, which: str = "") -> int:
    return total(api, f"/dags/~/dagRuns?{OURS}&{which}")
