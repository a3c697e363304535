"""Logs on the real engine: one node and three, what an update of theirs touches, and no secret in clear."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.versions import IMAGES, PublicImage
from tests.engine.stacks import OfflineStack, Steps, offline_stack

pytestmark = pytest.mark.engine
Tree = dict[str, Any]
HELD = ("Namespace", "PersistentVolumeClaim", "StatefulSet", "Bucket", "RandomPassword", "Secret")
"""Kinds whose replacement would lose lines, or lock somebody out."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    """`local-full`, up: one node."""
    made = offline_stack("local-full", tmp_path_factory.mktemp("local-full"))
    made.up()
    return made


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    """Production, up: three nodes."""
    made = offline_stack("prod", tmp_path_factory.mktemp("prod"))
    made.up()
    return made


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next version of Elasticsearch and Kibana."""
    for name in ("elasticsearch", "kibana"):
        old = IMAGES[name]
        image = PublicImage(old.registry, old.repository, "9.6.0", "sha256:" + "c3" * 32)
        monkeypatch.setitem(IMAGES, name, image)


def replaced(steps: Steps) -> list[str]:
    return [name for name in steps.replaced_or_deleted if name.split()[0] in HELD]


def state(stack: OfflineStack) -> dict[str, Any]:
    with stack.engine() as engine:
        read: dict[str, Any] = json.loads(engine.exported())
    return read


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


@pytest.mark.parametrize("name", ["small", "prod"])
def test_a_pipeline_that_is_there_stays_as_it_is(name: str, request: pytest.FixtureRequest) -> None:
    stack: OfflineStack = request.getfixturevalue(name)
    assert stack.up().changed == {}


@pytest.mark.parametrize("name", ["small", "prod"])
def test_an_update_of_elasticsearch_replaces_no_volume(name: str, request: pytest.FixtureRequest, newer: None) -> None:
    stack: OfflineStack = request.getfixturevalue(name)
    steps = stack.preview()
    assert steps.changed["StatefulSet log-store-elasticsearch"] == ["update"]
    assert replaced(steps) == []
    gone = {name.split()[0] for name in steps.replaced_or_deleted}
    assert gone <= {"Job"}, "more than the bootstrap is made anew"


def test_a_larger_volume_is_no_reason_to_make_the_nodes_anew(prod: OfflineStack) -> None:
    steps = prod.preview(lambda tree: tree["logs"].update(volumeGib=128))
    assert replaced(steps) == []
    assert "StatefulSet log-store-elasticsearch" not in steps.changed


def test_one_node_becomes_three_without_being_made_anew(small: OfflineStack) -> None:
    def grown(tree: Tree) -> None:
        tree["logs"].update(nodes=3, spread="anywhere")

    steps = small.preview(grown)
    assert steps.changed["StatefulSet log-store-elasticsearch"] == ["update"]
    assert steps.changed["PodDisruptionBudget log-store-budget"] == ["create"]
    assert replaced(steps) == []


def test_no_secret_is_in_the_state_in_clear(small: OfflineStack, prod: OfflineStack) -> None:
    for stack in (small, prod):
        resources = state(stack)["deployment"]["resources"]
        passwords = [
            one
            for one in resources
            if one["type"] == "random:index/randomPassword:RandomPassword" and "::log-store-" in one["urn"]
        ]
        assert len(passwords) >= 4
        # What is encrypted stands as its ciphertext beside the engine's mark; a password has this many letters.
        for one in passwords:
            assert "ciphertext" in one["outputs"]["result"], one["urn"]
        keys = [one for one in resources if one["type"] == "tls:index/privateKey:PrivateKey"]
        assert keys
        assert not [text for one in resources for text in texts(one) if "PRIVATE KEY" in text]


def test_the_store_waits_for_nobody_and_tasks_wait_for_their_streams(small: OfflineStack) -> None:
    by_name = {
        one["urn"].rpartition("::")[2]: one for one in state(small)["deployment"]["resources"] if "inputs" in one
    }

    def waits_for(name: str) -> set[str]:
        return {urn.rpartition("::")[2] for urn in by_name[name].get("dependencies", [])}

    assert "log-store-elasticsearch-bootstrap-job" in waits_for("logs-fluentd")
    assert "log-store-elasticsearch-bootstrap-job" in waits_for("main-migrate")
    assert not {one for one in waits_for("log-store-elasticsearch") if one.startswith("main-")}


def test_logs_come_and_go_with_the_stack(tmp_path: Path) -> None:
    own = offline_stack("local-full", tmp_path)
    own.up()

    def without(tree: Tree) -> None:
        del tree["logs"]
        tree["airflows"][0]["taskLogs"] = {"kind": "volume"}

    gone = {name for name, ops in own.up(without).changed.items() if ops == ["delete"]}
    assert {"StatefulSet log-store-elasticsearch", "DaemonSet logs-fluentd", "Namespace log-store-namespace"} <= gone
    assert own.destroy(without).changed
