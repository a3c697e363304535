"""The example DAGs do what they say: their functions one by one, and each DAG as a whole, in this process."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from conftest import DAGS
from example_daily_partition import FIRST_DAY, is_there, replace_partition, rows_of
from example_hello_daily import greeting
from example_mapped_regions import ORDERS, check_total, count
from example_sales_report import SOURCE, read_rows, summarise, verify

GOOD_EAN, BAD_EAN = "4006381333931", "4006381333932"


def row(country: str, quantity: str, price: str, ean: str = GOOD_EAN) -> dict[str, str]:
    return {"order": "S1", "country": country, "ean": ean, "quantity": quantity, "unit_price": price}


def test_the_greeting_names_the_day() -> None:
    assert greeting("2026-05-01") == "Good morning, it is 2026-05-01."


def test_a_region_without_orders_counts_as_nothing() -> None:
    assert count({"south": []}, "south") == {"region": "south", "orders": 0, "pieces": 0}


def test_the_total_is_the_sum_over_all_regions() -> None:
    assert check_total([count(ORDERS, region) for region in ORDERS], ORDERS) == 99


def test_a_missing_region_fails_the_total() -> None:
    with pytest.raises(ValueError, match="no count for west"):
        check_total([count(ORDERS, region) for region in ORDERS if region != "west"], ORDERS)


def test_a_wrong_count_fails_the_total() -> None:
    counts: list[dict[str, Any]] = [count(ORDERS, region) for region in ORDERS]
    counts[0]["pieces"] += 1
    with pytest.raises(ValueError, match="100 pieces counted, 99 expected"):
        check_total(counts, ORDERS)


def test_sales_are_summed_by_country_to_the_cent() -> None:
    report = summarise([row("AT", "3", "0.10"), row("AT", "1", "0.05"), row("DE", "2", "10.00")])
    assert report == {"by_country": {"AT": "0.35", "DE": "20.00"}, "rejected": []}


def test_a_line_with_a_wrong_product_number_is_set_aside() -> None:
    report = summarise([row("AT", "1", "1.00"), row("AT", "1", "5.00", BAD_EAN)])
    assert report["by_country"] == {"AT": "1.00"}
    assert [rejected["ean"] for rejected in report["rejected"]] == [BAD_EAN]


def test_the_packaged_data_adds_up() -> None:
    rows = read_rows(SOURCE)
    assert len(rows) == 40
    assert verify(rows, summarise(rows)).endswith("in 3 rejected lines")


def test_a_lost_cent_fails_the_check() -> None:
    rows = [row("AT", "1", "1.00")]
    with pytest.raises(ValueError, match=r"source 1.00 EUR, but report 0.99 EUR"):
        verify(rows, {"by_country": {"AT": "0.99"}, "rejected": []})


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("order,country,ean,quantity,unit_price\n")
    with pytest.raises(ValueError, match=r"empty.csv has no line"):
        read_rows(empty)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2025, 12, 31), False),
        (FIRST_DAY, True),
        (date(2026, 3, 9), True),
        (date(2026, 3, 10), False),
        (date(2206, 3, 9), False),
    ],
)
def test_only_days_that_the_source_has_and_that_are_over_are_written(day: date, expected: bool) -> None:
    assert is_there(day, today=date(2026, 3, 10)) is expected


def test_a_partition_that_is_written_twice_is_as_if_written_once(tmp_path: Path) -> None:
    first = replace_partition(tmp_path, FIRST_DAY, rows_of(FIRST_DAY)).read_text()
    second = replace_partition(tmp_path, FIRST_DAY, rows_of(FIRST_DAY)).read_text()
    assert first == second
    assert len(first.splitlines()) == 24
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["orders.jsonl"]


def test_a_write_that_fails_half_way_leaves_the_old_partition(tmp_path: Path) -> None:
    place = replace_partition(tmp_path, FIRST_DAY, [{"orders": 1}])
    with pytest.raises(TypeError):
        replace_partition(tmp_path, FIRST_DAY, [{"orders": 2}, {"orders": object()}])
    assert place.read_text() == '{"orders": 1}\n'
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["orders.jsonl"]


@pytest.fixture(scope="module")
def database() -> None:
    """Airflow's tables, in a file of this test run."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, timeout=300)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("example_daily_partition", 2),
        ("example_hello_daily", 2),
        ("example_mapped_regions", 1 + len(ORDERS) + 1),
        ("example_sales_report", 4),
    ],
)
def test_an_example_runs_to_success(name: str, tasks: int) -> None:
    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder=DAGS / f"{name}.py", bundle_path=DAGS, bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    run = bag.dags[name].test()
    assert run.state == "success"
    assert [instance.state for instance in run.get_task_instances()] == ["success"] * tasks
