"""The life of a dev stack beside its base: it comes, runs a DAG, expires and is swept; the base notices nothing."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes import client

from ops import dev
from ops.cluster_view import ClusterView
from tests.cluster.dev_stacks import a_base, command, done, inside, left_of_it, on, sql
from tests.cluster.looks import uids, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]
NAMESPACE = "airflow-dev-alice"
ROLE = "airflow_dev_alice"


@pytest.fixture(scope="module")
def base(platform: Platform) -> Iterator[Platform]:
    def lets_one(config: dict[str, Any]) -> None:
        # The server's 100 connections: 40 of the stack's own Airflow, 10 free, and room for one dev stack of 40.
        config["devStacks"] = {"connections": 50, "cpu": "2"}

    with a_base(platform, lets_one) as made:
        yield made


def state_of(base: Platform) -> list[Any]:
    with base.engine() as engine:
        resources: list[Any] = json.loads(engine.exported())["deployment"]["resources"]
    return resources


def test_it_comes_runs_a_dag_expires_and_leaves_nothing_and_its_base_stays_as_it_was(
    base: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, pods = state_of(base), uids(base, "airflow-main") | uids(base, "postgresql")
    code, output = done(base, "up", "--name=alice", "--ttl=1h")
    assert code == 0, output
    assert "It is al@example.com's until" in output

    with inside(base, "alice") as api:
        api.wait_for_dag("example_sales_report")
        run_id = api.trigger("example_sales_report")
        assert api.wait_for_run("example_sales_report", run_id)["state"] == "success"
    assert sql(base, f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{ROLE}'") == [ROLE]
    administrator = ClusterView(on(base)).secret("postgresql", "administrator")["password"]
    held = [one for one in base.objects() if one["metadata"].get("namespace") in {NAMESPACE, "dev-databases"}]
    assert {"Secret", "Pod"} <= {one["kind"] for one in held}
    for one in held:
        values = [*(one.get("data") or {}).values()]
        assert administrator not in json.dumps(one, default=str)
        assert all(administrator not in _decoded(value) for value in values)

    code, output = done(base, "up", "--name=alice", owner="bo@example.com")
    assert code == 1
    assert "NAME=alice: is taken by al@example.com" in output

    code, output = done(base, "up", "--name=bob")
    assert code == 1
    assert "Taken: alice 40, together 40. This one needs 40, which makes 80. Nothing was created." in output

    now = datetime.now(UTC)
    assert dev.sweep(on(base), base.progress)
    assert left_of_it(base), "it was swept before its time"
    monkeypatch.setattr(dev, "_now", lambda: now + timedelta(hours=2))
    assert dev.sweep(on(base), base.progress)
    assert left_of_it(base) == {}
    assert dev.sweep(on(base), base.progress), "a second time finds nothing to do"

    assert state_of(base) == state
    assert uids(base, "airflow-main") | uids(base, "postgresql") == pods
    assert base.up().changed == 0


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode(errors="replace")
    except ValueError:
        return value


def test_what_was_killed_on_its_way_up_or_down_is_mended_by_the_next_command(base: Platform) -> None:
    up = command(base, "up", "--name=alice")
    core = client.CoreV1Api(base.api_client())
    wait_until(
        lambda: NAMESPACE in {one.metadata.name for one in core.list_namespace().items} or up.poll() is not None,
        180,
        "its namespace is there",
    )
    os.killpg(up.pid, signal.SIGKILL)
    up.wait()
    code, output = done(base, "up", "--name=alice")
    assert code == 0, output
    assert sql(base, f"SELECT rolname FROM pg_roles WHERE rolname = '{ROLE}'") == [ROLE]

    down = command(base, "down", "--name=alice")
    apps = client.AppsV1Api(base.api_client())
    wait_until(
        lambda: len(apps.list_namespaced_deployment(NAMESPACE).items) < 4 or down.poll() is not None,
        180,
        "it is on its way down",
    )
    os.killpg(down.pid, signal.SIGKILL)
    down.wait()
    code, output = done(base, "down", "--name=alice")
    assert code == 0, output
    assert left_of_it(base) == {}
