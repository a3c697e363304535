"""Alerts fire when they should and not when they should not, by Prometheus' own test of rules."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.metrics.alerts import ALERTS, rules_yml
from tests.unit.alert_cases import CASES, DAY, Case, Series
from tests.unit.debian import debians

ROOT = Path(__file__).resolve().parents[2]
SERIES_LIMIT = 1000


def looks_at(case: Case) -> list[dict[str, Any]]:
    """What promtool shall look at for one alert."""
    (alert,) = [one for one in ALERTS if one.name == case.alert]
    runbook = f"docs/runbooks/{case.alert}.md"
    fires = {
        "exp_labels": {"severity": str(alert.severity), **case.labels},
        "exp_annotations": {"summary": case.summary, "runbook": runbook},
    }

    def looked_at(series: Series, expected: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "interval": "30s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}],
        }

    return [looked_at(case.firing, [fires]), *(looked_at(series, []) for series in case.calm)]


def said_by(promtool: Path, folder: Path, cases: tuple[Case, ...]) -> subprocess.CompletedProcess[str]:
    return looked_at_by(promtool, folder, [test for case in cases for test in looks_at(case)])


def looked_at_by(
    promtool: Path,
    folder: Path,
    looks: list[dict[str, Any]],
    certificate: int | None = None,
    connections: Mapping[str, int] | None = None,
) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yml").write_text(rules_yml(SERIES_LIMIT, certificate, connections))
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": looks}
    (folder / "tests.yml").write_text(yaml.safe_dump(tests))
    return subprocess.run(
        [promtool, "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debians("promtool", "prometheus", tmp_path_factory)


def test_every_alert_has_figures_at_which_it_fires_and_at_which_it_does_not() -> None:
    assert {case.alert for case in CASES} == {alert.name for alert in ALERTS}
    assert [case.alert for case in CASES if not case.calm] == []


def test_every_alert_fires_when_it_should_and_not_when_it_should_not(promtool: Path, tmp_path: Path) -> None:
    said = said_by(promtool, tmp_path, CASES)
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_test_of_the_alerts_does_fail_where_one_is_silent(promtool: Path, tmp_path: Path) -> None:
    case = CASES[0]
    said = said_by(promtool, tmp_path, (Case(case.alert, case.calm[0], case.at, case.labels, case.summary),))
    assert said.returncode == 1
    assert "AirflowSchedulerDown" in said.stdout + said.stderr


@pytest.mark.parametrize(("days_left", "fires"), [(10, True), (40, False)])
def test_a_certificate_of_the_platforms_own_expires_with_no_exporter_to_say_so(
    promtool: Path, tmp_path: Path, days_left: int, fires: bool
) -> None:
    (case,) = [case for case in CASES if case.alert == "CertificateExpires"]
    quiet, firing = looks_at(case)[1] | {"input_series": []}, looks_at(case)[0] | {"input_series": []}
    said = looked_at_by(promtool, tmp_path, [firing if fires else quiet], certificate=days_left * DAY)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize(("open_ones", "fires"), [(9, True), (7, False)])
def test_without_pgbouncer_the_proxies_connections_are_held_against_what_the_role_may_hold(
    promtool: Path, tmp_path: Path, open_ones: int, fires: bool
) -> None:
    (case,) = [case for case in CASES if case.alert == "DatabaseConnectionsHigh"]
    look = looks_at(case)[0 if fires else 1]
    # Of two pods, each with a proxy of its own; the other Airflow has room.
    shown = {"scheduler": 4, "api-server": open_ones - 4}
    series = {f'cloudsqlconn_open_connections{{airflow="main", pod="{pod}"}}': f"{n}x40" for pod, n in shown.items()}
    series['cloudsqlconn_open_connections{airflow="sales", pod="scheduler"}'] = "9x40"
    look["input_series"] = [{"series": name, "values": values} for name, values in series.items()]
    said = looked_at_by(promtool, tmp_path, [look], connections={"main": 10, "sales": 20})
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_alert_has_a_page_that_says_what_to_look_at_and_what_to_do() -> None:
    pages = {page.stem: page.read_text() for page in (ROOT / "docs/runbooks").glob("*.md") if page.stem != "README"}
    assert pages.keys() == {alert.name for alert in ALERTS}
    for alert in ALERTS:
        text = pages[alert.name]
        assert text.startswith(f"# {alert.name}\n"), alert.name
        assert "\n## Look\n" in text, alert.name
        assert "\n## Mend\n" in text, alert.name
