"""The dashboards in Google's console, where Google collects the metrics."""

import json
from typing import Any

import pytest

from components.metrics.dashboards import DASHBOARDS, google_json
from components.metrics.dashboards.google import UNITS
from components.metrics.dashboards.panels import Panel
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_metrics_managed import managed


def pages(recording: Recording) -> dict[str, Any]:
    return {
        name.removeprefix("dashboards-"): json.loads(one.inputs["dashboardJson"])
        for name, one in recording.of("Dashboard").items()
    }


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    return pages(deployed("staging", managed))


def test_every_dashboard_is_there_and_says_of_which_environment_it_is(shown: dict[str, Any]) -> None:
    assert shown.keys() == {board.uid for board in DASHBOARDS}
    assert shown["airflow-glance"]["displayName"] == "Airflow staging: At a glance"


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_every_picture_is_there_with_its_unit_and_its_description(shown: dict[str, Any], board: Any) -> None:
    *charts, text = (tile["widget"] for tile in shown[board.uid]["mosaicLayout"]["tiles"])
    assert [chart["title"] for chart in charts] == [panel.title for panel in board.panels]
    for chart, panel in zip(charts, board.panels, strict=True):
        asked = [one["timeSeriesQuery"] for one in chart["xyChart"]["dataSets"]]
        assert {one["unitOverride"] for one in asked} == {UNITS[panel.unit]}
        assert len(asked) == len(panel.queries)
        assert f"**{panel.title}.** {panel.description}" in text["text"]["content"]


def test_no_two_pictures_lie_on_one_another_and_none_beyond_the_page(shown: dict[str, Any]) -> None:
    for page in shown.values():
        layout = page["mosaicLayout"]
        taken: set[tuple[int, int]] = set()
        for tile in layout["tiles"]:
            assert tile["xPos"] + tile["width"] <= layout["columns"] == 48
            area = {
                (x, y)
                for x in range(tile["xPos"], tile["xPos"] + tile["width"])
                for y in range(tile["yPos"], tile["yPos"] + tile["height"])
            }
            assert not area & taken
            taken |= area


def queries(page: Any) -> list[str]:
    charts = [tile["widget"]["xyChart"] for tile in page["mosaicLayout"]["tiles"] if "xyChart" in tile["widget"]]
    return [one["timeSeriesQuery"]["prometheusQuery"] for chart in charts for one in chart["dataSets"]]


def test_nothing_of_grafanas_is_left_and_an_airflow_can_be_chosen(shown: dict[str, Any]) -> None:
    for page in shown.values():
        text = json.dumps(page)
        for grafanas in ("$airflow", "$__rate_interval", "{{"):
            assert grafanas not in text
        chosen = [one["templateVariable"] for one in page.get("dashboardFilters", [])]
        assert chosen == (["airflow"] if "${airflow.value}" in text else [])
    assert "dashboardFilters" in shown["airflow-glance"]


def test_another_clusters_airflow_of_the_same_name_is_not_counted(shown: dict[str, Any]) -> None:
    for query in queries(shown["airflow-scheduler"]):
        assert 'cluster="staging", airflow=~"${airflow.value}"' in query
    (board,) = [one for one in DASHBOARDS if one.uid == "airflow-scheduler"]
    assert "cluster=" not in google_json(board, "staging", None)


def test_what_kubelets_show_is_told_apart_by_namespace(shown: dict[str, Any]) -> None:
    def sources(panel: Panel) -> list[str]:
        return [panel.source] * len(panel.queries)

    (board,) = [one for one in DASHBOARDS if one.uid == "airflow-resources"]
    asked = queries(shown[board.uid])
    known = [source for panel in board.panels for source in sources(panel)]
    kubelets = [query for query, source in zip(asked, known, strict=True) if source == "kubelet"]
    assert len(kubelets) > 3
    for query in kubelets:
        assert "by (airflow" not in query
        assert 'namespace=~"airflow-.+"' in query


def test_there_are_none_where_nobody_wants_them_or_there_is_no_project_for_them() -> None:
    def declined(tree: Tree) -> None:
        managed(tree)
        tree["metrics"]["dashboards"] = False

    def elsewhere(tree: Tree) -> None:
        tree["metrics"] = {"kind": "google-managed"}

    assert pages(deployed("staging", declined)) == {}
    assert pages(deployed("local", elsewhere)) == {}
    assert pages(deployed("staging")) == {}
