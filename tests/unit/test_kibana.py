"""Kibana: how it is told and run, and the objects that it shows from the first day."""

import json
from typing import Any

import pytest
import yaml

from components.logs.kibana_objects import DASHBOARD, SEARCH, TASK_VIEW, WIDTH, saved_objects
from tests.unit.recorder import Recording
from tests.unit.stack_files import deployed
from tests.unit.test_log_store import kept, three

Tree = dict[str, Any]
MAPPED = {"@timestamp", "timestamp", "log_id", "dag_id", "task_id", "offset", "event", "level", "delay_ms"}
"""Fields that the index template has, and the one that the view computes."""


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return deployed("prod", three)


def objects(components: bool = False) -> dict[str, Tree]:
    return {one["id"]: one for one in map(json.loads, saved_objects(components).splitlines())}


def panels() -> list[Tree]:
    found: list[Tree] = json.loads(objects()[DASHBOARD]["attributes"]["panelsJSON"])
    return found


def columns(panel: Tree) -> Tree:
    (layer,) = panel["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    found: Tree = layer["columns"]
    return found


def test_it_signs_in_as_its_own_user_by_variables_that_are_on_no_command_line(recorded: Recording) -> None:
    told = yaml.safe_load(recorded.one("ConfigMap", "log-store-kibana-config").inputs["data"]["kibana.yml"])
    assert told["elasticsearch.username"] == "kibana_system"
    (container,) = recorded.one("Deployment", "log-store-kibana").inputs["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one for one in container["env"]}
    for key in ("elasticsearch.password", "xpack.security.encryptionKey", "xpack.encryptedSavedObjects.encryptionKey"):
        variable = told[key].removeprefix("${").removesuffix("}")
        assert env[variable]["valueFrom"]["secretKeyRef"]["name"] == "kibana"
        # The image's start makes arguments of those that are named after its settings.
        assert variable.lower() != key.replace(".", "_").lower()
    assert told["elasticsearch.hosts"] == ["https://elasticsearch.log-store.svc.cluster.local:9200"]
    assert told["server.publicBaseUrl"] == "https://kibana.airflow.acme.example"
    assert told["xpack.security.secureCookies"] is True


def test_people_come_to_it_by_the_way_in_and_sign_in(recorded: Recording) -> None:
    hosts = [rule["host"] for one in recorded.of("Ingress").values() for rule in one.inputs["spec"]["rules"]]
    assert "kibana.airflow.acme.example" in hosts
    login = recorded.one("Secret", "log-store-kibana-viewer").inputs["stringData"]
    assert login["username"] == "viewer"


def test_two_versions_of_it_never_run_side_by_side(recorded: Recording) -> None:
    assert recorded.one("Deployment", "log-store-kibana").inputs["spec"]["strategy"] == {"type": "Recreate"}


def test_there_is_none_where_it_is_not_asked_for() -> None:
    without = deployed("local", kept(kibana=False))
    assert not [one.name for one in without.resources if "kibana" in one.name]
    assert "log-store-viewer-password" not in without.of("RandomPassword")


def test_a_task_has_a_link_to_its_lines(recorded: Recording) -> None:
    config = recorded.one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"]
    assert "frontend = https://kibana.airflow.acme.example/app/discover#/?" in config


@pytest.mark.parametrize("components", [False, True])
def test_every_reference_leads_to_an_object_of_the_file(components: bool) -> None:
    known = objects(components)
    for one in known.values():
        assert one.keys() == {
            "type",
            "id",
            "attributes",
            "references",
            "coreMigrationVersion",
            "typeMigrationVersion",
        }
        for reference in one["references"]:
            assert known[reference["id"]]["type"] == reference["type"], one["id"]
    assert ("airflow-components" in known) is components


def test_views_are_of_the_streams_by_time() -> None:
    view = objects()[TASK_VIEW]
    assert view["type"] == "index-pattern"
    assert (view["attributes"]["title"], view["attributes"]["timeFieldName"]) == ("logs-airflow.task-*", "@timestamp")
    assert json.loads(view["attributes"]["runtimeFieldMap"]).keys() == {"delay_ms"}


def test_the_search_shows_lines_in_airflows_order() -> None:
    search = objects()[SEARCH]["attributes"]
    assert search["sort"] == [["@timestamp", "asc"], ["offset", "asc"]]
    source = json.loads(search["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["indexRefName"] == objects()[SEARCH]["references"][0]["name"]


def test_the_dashboard_shows_lines_errors_and_writers() -> None:
    assert [panel["title"] for panel in panels()] == [
        "Lines a minute, by DAG",
        "Errors by DAG",
        "Slowest log writers",
    ]
    lines, errors, writers = panels()
    assert columns(lines)["count"]["timeScale"] == "m"
    assert "error" in errors["embeddableConfig"]["attributes"]["state"]["query"]["query"]
    assert columns(writers)["delay"]["operationType"] == "percentile"


def test_every_column_of_a_chart_asks_for_a_field_that_is_mapped() -> None:
    for panel in panels():
        named = columns(panel)
        for column in named.values():
            assert column["sourceField"] in MAPPED | {"___records___"}
            order = column.get("params", {}).get("orderBy")
            assert order is None or order["columnId"] in named
        state = panel["embeddableConfig"]["attributes"]["state"]
        (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
        assert sorted(layer["columnOrder"]) == sorted(named)


def test_panels_lie_side_by_side_and_have_a_reference_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    references = {one["name"] for one in objects()[DASHBOARD]["references"]}
    for panel in panels():
        grid = panel["gridData"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not taken & cells
        assert max(x for x, _ in cells) < WIDTH
        taken |= cells
        (own,) = panel["embeddableConfig"]["attributes"]["references"]
        assert f"{panel['panelIndex']}:{own['name']}" in references
