"""Moves a small data set through extract, transform and load, and checks the sums at the end."""

import csv
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import dag, task
from stdnum import ean

DOC = """
### Sales report

`extract` reads `data/sales.csv`, `transform` sets aside the lines whose product number (EAN) is wrong and sums up
the rest by country, `load` writes the report as the task's result, and `check` reads it back and fails unless every
cent of the source is either in the report or among the rejected lines.

Each task may run in a pod of its own that shares no disk with the others, so what goes from task to task is small
and goes through XCom. Large data belongs into a bucket or a warehouse, and only its address into XCom.
"""

SOURCE = Path(__file__).parent / "data" / "sales.csv"

Row = dict[str, str]


def read_rows(source: Path) -> list[Row]:
    """The lines of ``source``; refuses a file without any."""
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{source.name} has no line")
    return rows


def amount(row: Row) -> Decimal:
    """What ``row`` sold for, in euros, to the cent."""
    return Decimal(row["unit_price"]) * int(row["quantity"])


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Sums by country, and the rows whose EAN check digit is wrong. Money is text: XCom's JSON has no decimals."""
    by_country: defaultdict[str, Decimal] = defaultdict(Decimal)
    rejected = []
    for row in rows:
        if ean.is_valid(row["ean"]):
            by_country[row["country"]] += amount(row)
        else:
            rejected.append(row)
    return {"by_country": {country: str(total) for country, total in sorted(by_country.items())}, "rejected": rejected}


def verify(rows: list[Row], report: dict[str, Any]) -> str:
    """What the report adds up to; refuses a report that lost or invented a cent."""
    reported = sum((Decimal(total) for total in report["by_country"].values()), Decimal())
    set_aside = sum((amount(row) for row in report["rejected"]), Decimal())
    source = sum((amount(row) for row in rows), Decimal())
    if reported + set_aside != source:
        raise ValueError(f"source {source} EUR, but report {reported} EUR and rejected {set_aside} EUR")
    return f"{len(rows)} lines, {reported} EUR reported, {set_aside} EUR in {len(report['rejected'])} rejected lines"


@dag(
    dag_id="example_sales_report",
    description="Extracts, transforms and loads a small sales file through four tasks and checks the sums.",
    doc_md=DOC,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(minutes=30),
    tags=["example", "etl"],
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(minutes=5),
    },
)
def example_sales_report() -> None:
    """Extract, transform, load, check: four tasks in a row."""

    @task
    def extract() -> list[Row]:
        return read_rows(SOURCE)

    @task
    def transform(rows: list[Row]) -> dict[str, Any]:
        return summarise(rows)

    @task
    def load(report: dict[str, Any]) -> dict[str, Any]:
        for country, total in report["by_country"].items():
            print(f"{country}: {total} EUR")
        return report

    @task
    def check(rows: list[Row], report: dict[str, Any]) -> str:
        outcome = verify(rows, report)
        print(outcome)
        return outcome

    rows = extract()
    check(rows, load(transform(rows)))  # type: ignore[arg-type]


example_sales_report()
