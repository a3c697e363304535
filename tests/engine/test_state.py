"""Pulumi's state: that nothing stands in it in clear, and locks that are held, dead, broken and taken away."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ops.unlock import unlock
from testbed.progress import Failure
from tests.engine.stacks import OfflineStack, offline_stack

pytestmark = pytest.mark.engine
GIVEN = "given-by-a-person-0815"


def with_secret(tree: dict[str, Any]) -> None:
    tree["ephemeral"] = True  # in clear only there
    tree["secrets"] = {"main": {"adminPassword": GIVEN, "jwtSecret": GIVEN}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> OfflineStack:
    made = offline_stack("local", tmp_path_factory.mktemp("local"))
    made.up(with_secret)
    return made


def lock(stack: OfflineStack, content: str) -> Path:
    folder = stack.home / "state" / ".pulumi" / "locks" / "organization" / "airflow-platform" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "another.json"
    path.write_text(content, encoding="utf-8")
    return path


def held(hostname: str, pid: int) -> str:
    return json.dumps({"pid": pid, "username": "ada", "hostname": hostname, "timestamp": "2026-11-25T03:00:00Z"})


def test_no_secret_stands_in_clear_in_the_state_nor_in_what_lies_beside_it(stack: OfflineStack) -> None:
    files = [path for path in stack.home.rglob("*") if path.is_file()]
    assert any(path.name == "local.json" and "main-admin" in path.read_text(encoding="utf-8") for path in files)
    assert [path.name for path in files if GIVEN.encode() in path.read_bytes()] == []
    assert (stack.home / "passphrase").stat().st_mode & 0o077 == 0


def test_a_lock_of_somebody_else_stops_an_update_and_says_how_to_go_on(stack: OfflineStack) -> None:
    path = lock(stack, held("a-ci-runner", 4711))
    with pytest.raises(Failure) as refused:
        stack.up(with_secret)
    assert "locked" in str(refused.value)
    assert "if it is dead (look at CI, ask colleagues), run `make unlock STACK=local`" in str(refused.value)
    assert path.exists(), "a lock of another machine was removed without being asked to"
    with stack.engine(with_secret) as engine:
        said = unlock(engine)
    assert "locked by ada on a-ci-runner, process 4711, since 2026-11-25T03:00:00Z" in said
    assert not path.exists()
    assert stack.up(with_secret).changed == {}


@pytest.mark.parametrize("content", ["", "{", held(socket.gethostname(), 4194305)], ids=["empty", "cut off", "dead"])
def test_a_lock_that_nobody_holds_any_more_is_removed(stack: OfflineStack, content: str) -> None:
    path = lock(stack, content)
    assert stack.up(with_secret).changed == {}
    assert not path.exists()


def test_to_unlock_what_is_not_locked_does_no_harm(stack: OfflineStack) -> None:
    with stack.engine(with_secret) as engine:
        assert "has no lock any more" in unlock(engine)
    assert stack.preview(with_secret).changed == {}
