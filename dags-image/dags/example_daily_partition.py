"""A DAG that can be backfilled: it knows which days there are, and writing a day twice leaves it as once."""

import json
import os
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import dag, get_current_context, task
from task_shapes import shape

DOC = """
### One partition a day, safe to backfill

    airflow backfill create --dag-id example_daily_partition --from-date 2026-01-01 --to-date 2026-01-31

- `has_data` is the **date guard**: a day before the source begins, or one that is not over yet, is skipped, whoever
  asks for it. Without it, a backfill with one wrong digit writes years of empty partitions.
- `write` is **idempotent**: a day's rows depend on the day alone, and the partition is replaced, never added to.
- `write` is **atomic**: it makes the file beside its place and moves it there in one step. Who reads sees the old
  partition or the new one, never half of one, also when the task is killed in between.

`write` asks for a larger pod than other tasks (`shape("large")`), where the stack has that shape.
Into a warehouse the same is: one transaction that deletes the day and inserts it, or `MERGE`.
"""

FIRST_DAY = date(2026, 1, 1)
"""Before it the source has nothing."""
TARGET = Path(os.environ.get("EXAMPLE_PARTITIONS", Path(tempfile.gettempdir()) / "example_partitions"))
"""Stands for a bucket or a warehouse: a task's pod shares no disk with others."""


def is_there(day: date, today: date) -> bool:
    """Whether the source has all of ``day``, when it is ``today``."""
    return FIRST_DAY <= day < today


def rows_of(day: date) -> list[dict[str, Any]]:
    """Stands for the source: what happened on ``day``. It depends on nothing else, least of all on the present."""
    return [{"day": day.isoformat(), "hour": hour, "orders": (day.toordinal() * 7 + hour) % 11} for hour in range(24)]


def replace_partition(folder: Path, day: date, rows: list[dict[str, Any]]) -> Path:
    """Put ``rows`` in the place of what ``folder`` has for ``day``, in one step."""
    place = folder / f"day={day.isoformat()}" / "orders.jsonl"
    place.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: only within a file system is a move one step.
    handle, making = tempfile.mkstemp(dir=place.parent, prefix=".orders-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        Path(making).replace(place)
    finally:
        Path(making).unlink(missing_ok=True)
    return place


def day_of_run() -> date:
    """The day that the run is about: the one before it."""
    run = get_current_context()["dag_run"]
    moment = run.logical_date or run.run_after
    return (moment - timedelta(days=1)).date()


@dag(
    dag_id="example_daily_partition",
    description="Writes one partition a day, safe to backfill: a date guard and an atomic, idempotent write.",
    doc_md=DOC,
    schedule="0 5 * * *",
    start_date=pendulum.datetime(2026, 1, 2, tz="UTC"),
    catchup=False,
    max_active_runs=8,
    dagrun_timeout=timedelta(hours=2),
    tags=["example", "backfill"],
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=10),
    },
)
def example_daily_partition() -> None:
    """Guard, then write."""

    @task.short_circuit
    def has_data() -> bool:
        day = day_of_run()
        there = is_there(day, pendulum.today("UTC").date())
        print(f"{day}: {'there' if there else 'not there, skipped'}")
        return there

    @task(executor_config=shape("large"))
    def write() -> str:
        day = day_of_run()
        place = replace_partition(TARGET, day, rows_of(day))
        print(f"{day}: written to {place}")
        return str(place)

    has_data() >> write()


example_daily_partition()
