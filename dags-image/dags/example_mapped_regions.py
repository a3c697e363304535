"""Dynamic task mapping: as many tasks as there are regions on the day of the run."""

from datetime import timedelta

import pendulum
from airflow.sdk import dag, task

DOC = """
### Regions in parallel

`list_regions` returns what there is to do, one `count_orders` task is made for each element, and `total` waits for
all of them. At most four of them run at a time (`max_active_tis_per_dagrun`).
"""

ORDERS = {"north": [12, 7, 31], "east": [5], "south": [], "west": [22, 22]}
"""Stands for a source that is asked at run time: orders by region."""


def count(orders: dict[str, list[int]], region: str) -> dict[str, int | str]:
    """Number and sum of the ``orders`` of ``region``."""
    return {"region": region, "orders": len(orders[region]), "pieces": sum(orders[region])}


def check_total(counts: list[dict[str, int | str]], orders: dict[str, list[int]]) -> int:
    """Pieces over all ``counts``; refuses counts that miss a region or don't add up to ``orders``."""
    missing = sorted(set(orders) - {str(one["region"]) for one in counts})
    if missing:
        raise ValueError(f"no count for {', '.join(missing)}")
    total = sum(int(one["pieces"]) for one in counts)
    expected = sum(sum(pieces) for pieces in orders.values())
    if total != expected:
        raise ValueError(f"{total} pieces counted, {expected} expected")
    return total


@dag(
    dag_id="example_mapped_regions",
    description="Counts each region's orders in a task of its own, made at run time (dynamic task mapping).",
    doc_md=DOC,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    tags=["example", "mapping"],
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
)
def example_mapped_regions() -> None:
    """One mapped task a region, then a total over all of them."""

    @task
    def list_regions() -> list[str]:
        return sorted(ORDERS)

    @task(max_active_tis_per_dagrun=4)
    def count_orders(region: str) -> dict[str, int | str]:
        return count(ORDERS, region)

    @task
    def total(counts: list[dict[str, int | str]]) -> int:
        return check_total(list(counts), ORDERS)

    total(count_orders.expand(region=list_regions()))  # type: ignore[arg-type]


example_mapped_regions()
