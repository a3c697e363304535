"""Settings of logs: what is refused, and the arithmetic of what they take."""

import json
from collections.abc import Callable

import pytest

from infra.settings import Settings, parse
from infra.settings.logs import GivenLogs, OwnLogs
from infra.settings.logs_planning import LogPlan
from infra.settings.logs_rules import log_plan
from tests.unit.stack_files import Tree, changed, settings, stack_config
from tests.unit.test_log_store import kept, three
from tests.unit.test_settings import problems
from tests.unit.test_settings_cloud import problems as cloud_problems


def own(**asked: object) -> OwnLogs:
    return OwnLogs.model_validate_json(json.dumps({"kind": "own", **asked}))


def test_a_url_without_a_kind_is_one_that_is_given_as_before_there_were_kinds() -> None:
    def given(tree: Tree) -> None:
        tree["airflows"][0]["taskLogs"] = {"kind": "elasticsearch", "url": "https://logs.example.com"}
        tree["secrets"] = {"main": {"elasticsearchUser": "reader", "elasticsearchPassword": "hunter2"}}
        tree["logs"] = {"url": "https://logs.example.com"}
        tree["logsPassword"] = "hunter2"

    logs = settings(changed(stack_config("local"), given)).logs
    assert isinstance(logs, GivenLogs)
    assert logs.user == "fluentd"


def test_the_arithmetic_of_a_retention() -> None:
    plan = LogPlan(
        own(nodes=3, volumeGib=64, retention={"days": 30, "linesPerDay": 5_000_000, "bytesPerLine": 500}), streams=1
    )
    assert (plan.copies, plan.rollover_days, plan.rollover_gib) == (2, 3, 6)
    assert plan.kept_days == 33
    assert plan.bytes_of_a_copy == 5_000_000 * 500 * 33
    assert plan.gib_per_node == pytest.approx(5_000_000 * 500 * 33 * 2 / 3 / 2**30)
    assert plan.needed_gib == 61
    # 33 days in pieces of 3 and the one that is written to, and as many more as 77 GiB make of 6 GiB each.
    assert plan.indices == 12 + 13
    assert plan.shards == 50


@pytest.mark.parametrize("days", [1, 7, 14, 90, 400])
def test_lines_are_kept_at_least_as_long_as_asked_for_and_not_much_longer(days: int) -> None:
    plan = LogPlan(own(retention={"days": days}), streams=1)
    assert days < plan.kept_days <= max(days + 1, days * 1.15)


@pytest.mark.parametrize("stack", ["local-full", "staging", "prod"])
def test_the_stacks_own_volumes_hold_what_they_keep(stack: str) -> None:
    chosen = parse({key: json.dumps(value) for key, value in stack_config(stack).items()})
    assert isinstance(chosen, Settings)
    assert isinstance(chosen.logs, OwnLogs)
    plan = log_plan(chosen, chosen.logs)
    assert plan.needed_gib <= chosen.logs.volume_gib


def small(tree: Tree) -> None:
    tree["logs"].update(volumeGib=20, retention={"days": 14, "linesPerDay": 10_000_000})


def test_a_volume_that_cant_hold_its_retention_is_refused_with_the_arithmetic() -> None:
    said = problems(kept(small))
    assert (
        "logs.volumeGib: 20 can't hold the retention: 10,000,000 lines a day x 500 bytes x (14 + 2) days x 1 copy on 1 "
        "node: 74.5 GiB each, and Elasticsearch fills a volume to 85%. Make it 88, or keep less: logs.retention"
    ) in said


def test_what_it_says_to_make_it_is_enough() -> None:
    def mended(tree: Tree) -> None:
        small(tree)
        tree["logs"]["volumeGib"] = 88

    settings(changed(stack_config("local"), kept(mended)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.update(logsPassword="x"), "logsPassword: is for the user of 'logs' of kind 'given'"),
        (lambda t: t["logs"].update(kind="others"), "logs.kind: \"others\" must be one of 'given', 'own'"),
        (lambda t: t["logs"].update(nodes=2), "logs.nodes: 2 must be 1 or 3"),
        (lambda t: t["logs"].update(url="https://x"), "logs.url: unknown key"),
        (
            lambda t: t["logs"].update(memory="512Mi"),
            "logs.memory: 512Mi is too little for Elasticsearch. Make it 1024Mi",
        ),
        (
            lambda t: t["airflows"][0]["taskLogs"].update(url="https://x"),
            "airflows.main.taskLogs.url: the environment has an Elasticsearch of its own",
        ),
        (
            lambda t: t["airflows"][0]["taskLogs"].update(indexPatterns="logs-*"),
            "airflows.main.taskLogs.indexPatterns: follows from 'logs' of kind 'own'. Leave it out",
        ),
        (
            lambda t: t.update(secrets={"main": {"elasticsearchUser": "u", "elasticsearchPassword": "p"}}),
            "secrets.main: the user of an Elasticsearch that is made here is, too. Leave it out",
        ),
        (lambda t: t.pop("logs"), "airflows.main.taskLogs.url: is missing. Name the Elasticsearch, or have one made"),
        (lambda t: t["airflows"][0].update(taskLogs={"kind": "volume"}), "no Airflow reads them there"),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(kept(change))


def test_more_shards_than_nodes_take_are_refused() -> None:
    def many(tree: Tree) -> None:
        first = tree["airflows"][0]
        tree["airflows"] = [{**first, "name": f"team-{number}"} for number in range(60)]
        tree["database"]["maxConnections"] = 1000
        tree["logs"].update(components=True)

    assert "shards, and 1 node takes 1000" in problems(kept(many))


def test_three_zones_are_not_in_one() -> None:
    def one_zone(tree: Tree) -> None:
        three(tree)
        tree["cluster"]["zone"] = "europe-west1-b"

    assert "logs.spread: the cluster is in one zone. Say 'anywhere'" in cloud_problems(one_zone, "prod")
