"""Dashboards are whole, and what they ask of sources that don't run here is what those sources show."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import grafana_foundation_sdk.models.dashboard as grafana
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from components.metrics.alerts import ALERTS, CERTIFICATE, CONNECTIONS
from components.metrics.dashboards import DASHBOARDS, Dashboard, Panel, dashboard_json
from components.metrics.grafana import provisioning
from tests.unit.recorded_metrics import RECORDED
from tests.unit.recorder import Recording
from tests.unit.stack_files import deployed

HERE = {"statsd", "kubelet", "prometheus"}
"""Asked of a running Airflow in tests/cluster/test_platform_metrics.py."""
ADDED = {"airflow", "namespace", "pod", "container", "component", "job", "instance", "environment"}
"""Labels that Prometheus itself puts on (components/metrics/discovery.py)."""
PANELS = [panel for board in DASHBOARDS for panel in board.panels]
ELSEWHERE = {"kubelet": "kubelet-volumes"}
"""Of a kubelet's figures, alerts ask for those of volumes alone."""


def asked_for() -> list[tuple[str, str, str]]:
    """Of every panel and alert whose source does not run here: its name, its source, its query."""
    panels = [(panel.title, panel.source, query.expression) for panel in PANELS for query in panel.queries]
    alerts = [(alert.name, ELSEWHERE.get(alert.needs, alert.needs), alert.expression) for alert in ALERTS]
    return [one for one in (*panels, *alerts) if one[1] not in HERE]


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:[a-z]+_)+[a-z]+\b(?=[{\[) ]|$)", re.sub(r'"[^"]*"|by \([^)]*\)|\w+=', "", expression)))


def labels_in(expression: str) -> set[str]:
    grouped = {
        name.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for name in group.split(",")
    }
    return grouped | set(re.findall(r"(\w+)=~?\"", expression))


def recorded(source: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    text = "".join(RECORDED[one] for one in source.split())
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


@pytest.mark.parametrize(("name", "source", "expression"), asked_for(), ids=lambda value: str(value)[:40])
def test_what_is_asked_of_a_source_is_what_it_shows(name: str, source: str, expression: str) -> None:
    known = recorded(source)
    wanted = metrics_in(expression) - {CERTIFICATE, CONNECTIONS}
    assert wanted, name
    assert wanted <= known.keys(), f"{name}: {source} has no {wanted - known.keys()}"
    having = ADDED.union(*(known[metric] for metric in wanted))
    assert labels_in(expression) <= having, f"{name}: no such label: {labels_in(expression) - having}"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_has_a_unit_a_title_and_a_description(panel: Panel) -> None:
    assert panel.title
    assert panel.unit
    assert panel.description.endswith(".")


def unknown(written: Any, understood: Any, path: str = "") -> Iterator[str]:
    """What of a document is not in what somebody has understood of it."""
    if isinstance(written, dict):
        for key, value in cast(dict[str, Any], written).items():
            if not isinstance(understood, dict) or key not in understood:
                yield f"{path}.{key}"
            else:
                yield from unknown(value, understood[key], f"{path}.{key}")
    elif isinstance(written, list):
        for number, value in enumerate(cast(list[Any], written)):
            yield from unknown(value, understood[number], f"{path}.{number}")
    elif written != understood:
        yield f"{path}: {written!r} is {understood!r}"


def understood_by_grafana(page: Any) -> Any:
    """The document as Grafana's own types read it, written once more: what they do not know is lost."""
    plugins.register_default_plugins()
    return json.loads(json.dumps(grafana.Dashboard.from_json(page), cls=JSONEncoder))


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_grafanas_own_types_know_all_that_a_page_says(board: Dashboard) -> None:
    page = json.loads(dashboard_json(board))
    assert list(unknown(page, understood_by_grafana(page))) == []


def test_a_misspelled_key_of_a_page_would_be_found() -> None:
    page = json.loads(dashboard_json(DASHBOARDS[0]))
    panel = next(one for one in page["panels"] if one["type"] == "timeseries")
    panel["fieldConfig"]["defaults"]["custom"]["lineWidht"] = 2
    panel["targets"][0]["exprr"] = "up"
    page["refesh"] = "30s"
    found = list(unknown(page, understood_by_grafana(page)))
    assert [one.rpartition(".")[2] for one in found] == ["lineWidht", "exprr", "refesh"]


def test_every_page_has_its_own_address_and_every_panel_of_it_a_title_and_a_place_of_its_own() -> None:
    assert len({board.uid for board in DASHBOARDS}) == len(DASHBOARDS) == 7
    for board in DASHBOARDS:
        page = json.loads(dashboard_json(board))
        assert len({panel["title"] for panel in page["panels"]}) == len(board.panels)
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in page["panels"]]
        assert len(set(places)) == len(places)
        assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in page["panels"])
        for panel in page["panels"]:
            assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.fixture(scope="module")
def shown() -> Recording:
    return deployed("local", lambda tree: tree.update(metrics={"kind": "prometheus"}))


def test_grafana_knows_everything_from_files(shown: Recording) -> None:
    pages = shown.one("ConfigMap", "metrics-grafana-dashboards").inputs["data"]
    assert set(pages) == {f"{board.uid}.json" for board in DASHBOARDS}
    told = provisioning(30)
    (source,) = yaml.safe_load(told["datasources.yaml"])["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load(told["dashboards.yaml"])["providers"]
    spec = shown.one("Deployment", "metrics-grafana").inputs["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert provider["options"]["path"] in {mount["mountPath"] for mount in container["volumeMounts"]}
    # Nothing of it must outlive a pod.
    assert not [volume for volume in spec["volumes"] if "persistentVolumeClaim" in volume]


def test_grafanas_password_is_a_file_and_nobody_gets_in_without_it(shown: Recording) -> None:
    spec = shown.one("Deployment", "metrics-grafana").inputs["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana/password"
    assert env["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert not [name for name in env if "ANONYMOUS" in name]
    secret = shown.one("Secret", "metrics-grafana-admin")
    assert any(path.startswith("stringData") for path in secret.secret_paths)
