"""What a stack costs by list prices: the arithmetic, what is refused, and that the committed page is up to date."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import PROJECT
from ops import __main__ as commands
from ops.costs import MARK, ON_THE_PAGE, PAGE, Line, costs, page, stack_lines, table
from ops.prices import EVERYWHERE, PRICES, Price, PriceList, price_list
from ops.stack_file import StackFile, read
from testbed.progress import Failure

Tree = dict[str, Any]
HOURS = 700
AMOUNTS = {
    "e2-vcpu": 0.02,
    "e2-memory": 0.003,
    "e2-vcpu-spot": 0.01,
    "e2-memory-spot": 0.001,
    "disk-balanced": 0.1,
    "gke-cluster": 0.1,
    "sql-vcpu-ha": 0.08,
    "sql-memory-ha": 0.014,
    "sql-disk-ha": 0.34,
    "sql-small": 0.035,
    "sql-disk": 0.17,
    "nat-node": 0.001,
    "address-nat": 0.005,
    "address-unused": 0.01,
    "secret-version": 0.06,
}


def prices(**regions: str) -> PriceList:
    """Round prices; ``regions`` by name (``_`` for ``-``), where they are not the list's own."""
    of = {name.replace("_", "-"): region for name, region in regions.items()}
    day = date(2026, 1, 1)
    return PriceList(
        "europe-west1",
        HOURS,
        {name: Price(amount, "", of.get(name, "europe-west1"), day) for name, amount in AMOUNTS.items()},
    )


def stack(**changes: object) -> StackFile:
    """One zone, a pool of two to four e2-standard-2 and one for tasks, from zero to three."""
    config: Tree = {
        "google": {"project": "YOUR-PROJECT", "region": "europe-west1"},
        "cluster": {
            "kind": "gke",
            "zone": "europe-west1-b",
            "nodePools": {
                "system": {"machineType": "e2-standard-2", "minNodes": 2, "maxNodes": 4, "diskGib": 50},
                "airflow": {"machineType": "e2-highmem-2", "minNodes": 1, "maxNodes": 1, "diskGib": 30},
            },
            "taskPools": {"default": {"machineType": "e2-highcpu-4", "maxNodes": 3, "spot": True, "diskGib": 100}},
        },
        "database": {"kind": "cloud-sql", "tier": "db-custom-2-7680", "diskGib": 20, "diskLimitGib": 100},
        "airflows": [{"name": "main"}, {"name": "other"}],
        **changes,
    }
    return StackFile("mine", {key: value for key, value in config.items() if value is not None}, {}, {})


def cost_of(resource: str, lines: list[Line]) -> tuple[float, float]:
    (line,) = [line for line in lines if line.resource == resource]
    return line.least, line.most


def test_a_pool_costs_its_machines_and_their_disks_from_its_minimum_to_its_maximum() -> None:
    lines = stack_lines(stack(), prices())
    # one node: 2 vCPU * 700 h * 0.02 + 8 GiB * 700 h * 0.003 + 50 GiB * 0.1 = 28 + 16.8 + 5
    assert cost_of("Nodes `system`", lines) == pytest.approx((2 * 49.8, 4 * 49.8))
    # one node: 2 vCPU * 700 h * 0.02 + 16 GiB * 700 h * 0.003 + 30 GiB * 0.1 = 28 + 33.6 + 3
    assert cost_of("Nodes `airflow`", lines) == pytest.approx((64.6, 64.6))
    # one spot node: 4 vCPU * 700 h * 0.01 + 4 GiB * 700 h * 0.001 + 100 GiB * 0.1 = 28 + 2.8 + 10
    assert cost_of("Task nodes `default`", lines) == pytest.approx((0, 3 * 40.8))


def test_a_database_costs_its_instance_all_month_and_its_disk_up_to_its_limit() -> None:
    lines = stack_lines(stack(), prices())
    # 2 vCPU * 700 h * 0.08 + 7.5 GiB * 700 h * 0.014 = 112 + 73.5
    assert cost_of("Cloud SQL", lines) == pytest.approx((185.5, 185.5))
    assert cost_of("Cloud SQL disk", lines) == pytest.approx((20 * 0.34, 100 * 0.34))
    small = stack(database={"kind": "cloud-sql", "tier": "db-g1-small", "highAvailability": False, "diskGib": 10})
    lines = stack_lines(small, prices())
    assert cost_of("Cloud SQL", lines) == pytest.approx((24.5, 24.5))
    assert cost_of("Cloud SQL disk", lines) == pytest.approx((1.7, 85))


def test_the_rest_of_an_environment_is_counted_once_each() -> None:
    lines = stack_lines(stack(ingress={"domain": "airflow.YOUR-DOMAIN"}), prices())
    assert cost_of("GKE control plane", lines) == pytest.approx((70, 70))
    assert cost_of("Cloud NAT", lines) == pytest.approx((3 * 0.7, 8 * 0.7))
    assert cost_of("Addresses of Cloud NAT", lines) == pytest.approx((7, 7))
    assert cost_of("Ingress address", lines) == pytest.approx((7, 7))
    assert cost_of("Escrowed secrets", lines) == pytest.approx((0.18, 0.18))


def test_cloud_nat_costs_no_more_from_the_thirty_third_node_on() -> None:
    many = stack()
    many.config["cluster"]["taskPools"]["default"]["maxNodes"] = 100
    assert cost_of("Cloud NAT", stack_lines(many, prices())) == pytest.approx((3 * 0.7, 32 * 0.7))


def test_what_others_pay_for_is_not_counted() -> None:
    existing = {"kind": "existing", "network": "n", "subnetwork": "s", "podsRange": "p", "servicesRange": "q"}
    shared = {"kind": "existing", "connectionName": "project:region:instance", "maxConnections": 100}
    found = {line.resource for line in stack_lines(stack(network=existing, database=shared), prices())}
    assert found == {
        "GKE control plane",
        "Nodes `system`",
        "Nodes `airflow`",
        "Task nodes `default`",
        "Escrowed secrets",
    }


def test_the_sum_is_of_what_is_above_it() -> None:
    made = table([Line("one", "", 1000, 2000.5), Line("two", "", 0.25, 0.5)])
    assert made.splitlines()[-1] == "| **sum** | | **1,000.25** | **2,001.00** |"


def test_every_missing_price_is_named_with_what_needs_it() -> None:
    odd = stack(database={"kind": "cloud-sql", "tier": "db-perf-optimized-N-4", "edition": "ENTERPRISE_PLUS"})
    odd.config["cluster"]["taskPools"]["default"]["machineType"] = "c3-standard-8"
    with pytest.raises(Failure) as refused:
        stack_lines(odd, prices())
    said = str(refused.value)
    assert "c3-standard-8-spot: for Task nodes `default` (0 to 3 c3-standard-8 spot, 100 GiB each)" in said
    assert "db-perf-optimized-N-4-ha: for Cloud SQL" in said
    assert "Mend: add each with its unit to a group that says source, date and region." in said


def test_a_stack_in_another_region_than_the_prices_is_refused() -> None:
    elsewhere = stack(google={"project": "YOUR-PROJECT", "region": "us-east1"})
    with pytest.raises(Failure, match=r"is in us-east1, and .* of europe-west1.\nMend: put those of us-east1 there"):
        stack_lines(elsewhere, prices())


def test_a_wrong_setting_is_named_by_its_key() -> None:
    wrong = stack()
    wrong.config["cluster"]["taskPools"]["default"]["maxNodes"] = "many"
    with pytest.raises(Failure, match=r"cluster\.gke\.taskPools\.default\.maxNodes: "):
        stack_lines(wrong, prices())


def test_what_is_priced_by_another_regions_prices_is_marked_and_what_is_the_same_everywhere_is_not() -> None:
    printed = costs(stack(), prices(sql_memory_ha="us-central1", gke_cluster=EVERYWHERE))
    assert re.findall(rf"\| ([\w ]+){MARK} \|", printed) == ["Cloud SQL"]
    assert printed.endswith(f"{MARK} by prices of us-central1")
    assert MARK not in costs(stack(), prices())


def test_a_stack_without_google_cloud_costs_nothing() -> None:
    assert costs(read("local"), price_list()) == "Stack local has nothing on Google Cloud."


@pytest.mark.parametrize("lacking", ["source", "date", "region", "check"])
def test_a_price_list_that_does_not_say_where_its_prices_are_from_is_refused(lacking: str, tmp_path: Path) -> None:
    content = yaml.safe_load(PRICES.read_text(encoding="utf-8"))
    del content["groups"][1][lacking]
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(Failure, match=rf"prices.yaml is not as it should be:\n  - groups\.1\.{lacking}: "):
        price_list(path)


def test_the_committed_page_is_what_the_stack_files_and_prices_make() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = page(text, {name: read(name) for name in ON_THE_PAGE}, price_list())
    assert made == text, "docs/costs.md is out of date. Run: .venv/bin/python -m ops.costs"


def test_a_page_without_a_place_for_a_stack_is_refused() -> None:
    with pytest.raises(Failure, match=r"no place for dev.\nMend: add '<!-- costs dev -->'"):
        page("# Costs\n", {"dev": read("dev")}, price_list())


def test_the_command_prints_the_costs_of_a_stack_that_still_has_placeholders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"config": {f"{PROJECT}:{key}": value for key, value in stack().config.items()}}
    (tmp_path / "Pulumi.mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert commands.main(["costs", "--stack=mine", f"--stacks={tmp_path}"]) == 0
    assert "| Cloud SQL disk" in capsys.readouterr().out
