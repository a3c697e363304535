"""Nothing that a task logs is lost or doubled on its way to Airflow's API, whatever happens on that way.

Elasticsearch is the testbed's stand-in, in the platform's own StatefulSet, told by the platform's own Job. The shipper
is fluentd where it is on PATH; elsewhere a stand-in, and what is fluentd's alone is skipped.
"""

import json
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from components.logs.objects import SHIPPER, reader_of
from components.logs.shipper import NAMESPACE
from testbed.progress import Failure
from tests.cluster.log_pipeline import (
    DAG,
    LINE,
    OTHER,
    STORED_SECONDS,
    Logged,
    log_pipeline,
    needs_fluentd,
    stream,
)
from tests.cluster.looks import run_in, run_pod, task_pods, wait_until
from tests.cluster.platform import Platform

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.fixture(scope="module")
def logged(platform: Platform) -> Iterator[Logged]:
    with log_pipeline(platform) as made:
        yield made


def test_a_tasks_lines_are_read_back_once_and_in_order_when_its_pod_is_gone(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        run_id, task = logged.run(api, lines=100)
        logged.whole(api, run_id, task, 100)
    assert logged.wrong() == []


def test_a_burst_of_10000_lines_is_there_once_and_in_order_for_each_try(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        run_id, task = logged.run(api, lines=10_000, fails=True)
        for attempt in (1, 2):
            logged.whole(api, run_id, task, 10_000, attempt)


def test_whatever_is_in_a_line_it_is_there_once(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        run_id, task = logged.run(api, lines=3, odd=True)
        logged.whole(api, run_id, task, 3)
        wait_until(lambda: "odd: failed" in api.log(DAG, run_id, task), STORED_SECONDS, "the last line is there")
        path = f"/dags/{DAG}/dagRuns/{quote(run_id, safe='')}/taskInstances/speak/logs/1?full_content=true"
        content = api.get(path)["content"]
    odd = [str(line["event"]) for line in content if str(line["event"]).startswith("odd: ")]
    assert odd[:3] == ["odd: grüße 💥 日本語", 'odd: {"json": {"inside": [1, null]}}', "odd: two\nlines"]
    assert odd[3].startswith("odd: \\ \t")
    assert odd[4] == "odd: long " + "ü" * 100_000
    assert odd[5].startswith("odd: cut zzz")
    assert odd[5].endswith("[cut: the line was too long]")
    assert odd[6:] == ["odd: failed"]
    assert "odd: traceback" in json.dumps([line for line in content if line["event"] == "odd: failed"])


def test_lines_are_there_while_the_task_runs(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        run_id = api.trigger(DAG, {"lines": 60, "rate": 1})
        ages: list[float] = []

        def newest_is_fresh() -> bool:
            (task,) = api.tasks(DAG, run_id)
            if task["state"] != "running":
                return False
            stamps = [float(found[3]) for line in api.log(DAG, run_id, task, 1) if (found := LINE.match(line))]
            # One line a second: what is newer than ten seconds has come in time.
            ages.append(time.time() - stamps[-1] if stamps else 1000)
            return len(stamps) > 5 and ages[-1] < 10 and logged.stored(run_id) > 5

        wait_until(newest_is_fresh, 120, f"a line is shown within 10 s: {ages}")
        assert api.tasks(DAG, run_id)[0]["state"] == "running"
        assert api.wait_for_run(DAG, run_id)["state"] == "success"
        (task,) = api.tasks(DAG, run_id)
        logged.whole(api, run_id, task, 60)


def test_a_task_that_is_killed_for_its_memory_keeps_what_it_wrote(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        run_id = api.trigger(DAG, {"lines": 2000, "eats": True})
        killed = {"match_phrase": {"event": "Likely out of memory error"}}
        own = {"term": {"log_id": f"{DAG}-speak-{run_id}--1-1"}}
        query = {"bool": {"filter": [own, killed]}}
        wait_until(lambda: logged.count(query) > 0, 240, "Airflow says that the task was killed")
        wait_until(lambda: not task_pods(logged.platform), 120, "its pod is gone")
        (task,) = api.tasks(DAG, run_id)
        logged.whole(api, run_id, task, 2000)
        # One that may be tried again "runs" on for Airflow until five minutes of heartbeats are missing.
        api.patch(f"/dags/{DAG}/dagRuns/{quote(run_id, safe='')}", {"state": "failed"})


def test_a_pod_that_ends_with_its_last_line_is_read_to_the_end(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        runs = [logged.run(api, lines=5) for _ in range(3)]
        for run_id, task in runs:
            logged.whole(api, run_id, task, 5)


@needs_fluentd
def test_lines_over_a_rotation_are_there_once(logged: Logged) -> None:
    count = 9000
    with logged.platform.airflow() as api:
        # 27 MB in 30 s: the kubelet rotates at 10.
        run_id = api.trigger(DAG, {"lines": count, "width": 2700, "rate": 300})
        wait_until(lambda: rotated(logged), 180, "the task's log has been rotated")
        assert api.wait_for_run(DAG, run_id)["state"] == "success"
        (task,) = api.tasks(DAG, run_id)
        logged.whole(api, run_id, task, count)


def rotated(logged: Logged) -> bool:
    folder = logged.platform.cluster.state / "node/log/pods"
    return any(folder.glob("airflow-main_logs-much-*/base/0.log.*"))


@needs_fluentd
def test_a_shipper_that_is_killed_goes_on_where_it_was(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        run_id = api.trigger(DAG, {"lines": 6000, "rate": 200})
        wait_until(lambda: logged.stored(run_id) > 0, 120, "the first lines are stored")
        logged.kill_shipper()
        assert api.wait_for_run(DAG, run_id)["state"] == "success"
        (task,) = api.tasks(DAG, run_id)
        logged.whole(api, run_id, task, 6000)


def test_lines_wait_for_a_store_that_is_away_for_two_minutes(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        with logged.store.away(120):
            run_id, task = logged.run(api, lines=500)
            shown = "\n".join(api.log(DAG, run_id, task, 1))
            assert "Elasticsearch can't be read" in shown
            assert any(line.startswith("log-store: ") for line in logged.wrong())
        logged.whole(api, run_id, task, 500)
    assert logged.wrong() == []


@needs_fluentd
def test_lines_wait_while_the_store_is_full_and_the_status_says_so(logged: Logged) -> None:
    with logged.platform.airflow() as api:
        with logged.store.full():
            run_id, task = logged.run(api, lines=100)
            assert logged.stored(run_id) == 0
            (said, *_) = [line for line in logged.wrong() if "take no more lines" in line]
            assert "Mend: make room" in said
        logged.whole(api, run_id, task, 100)


@needs_fluentd
def test_lines_wait_while_the_store_refuses_the_shippers_password_and_the_status_says_so(logged: Logged) -> None:
    right = logged.platform.view().secret(NAMESPACE, "store")["password"]
    before = logged.refused

    def password(text: str) -> None:
        logged.store.do("PUT", f"/_security/user/{SHIPPER}/_password", {"password": text})

    with logged.platform.airflow() as api:
        password("another-Password-of-5")
        try:
            run_id, task = logged.run(api, lines=100)
            wait_until(lambda: any("401" in line for line in logged.wrong()), 120, "the status names the refusal")
            assert right not in "".join(logged.wrong())
            assert logged.stored(run_id) == 0
        finally:
            password(right)
        logged.whole(api, run_id, task, 100)
    assert logged.refused == before


BAD = r"""
import json, sys, time
def line(offset, event="x", **more):
    told = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": event, **more}
    return (json.dumps({**told, "log_id": "bad-x-y--1-1", "offset": offset}, separators=(",", ":")) + "\n").encode()
for data in (
    line(1),
    line(2, logger="k" * 40_000),
    line(3, event="m" * 1_000_000),
    line(4).replace(b'"x"', b'"\xff\xfe"'),
    b'{"event":broken,"log_id":"bad-x-y--1-1","offset":5}\n',
    line(6, timestamp="no time at all"),
    line(7, timestamp="1970-01-01T00:00:00Z"),
    line(8, timestamp="2096-01-01T00:00:00Z"),
    line(9),
):
    sys.stdout.buffer.write(data)
sys.stdout.flush()
time.sleep(3)
"""
STORABLE = {1, 3, 4, 6, 7, 8, 9}


@needs_fluentd
def test_a_line_that_can_not_be_stored_is_counted_and_kept_and_the_others_are_there(logged: Logged) -> None:
    before = logged.refused
    run_pod(logged.platform, "airflow-main", "says-bad-things", {}, ["python", "-c", BAD])
    query = {"query": {"term": {"log_id": "bad-x-y--1-1"}}, "sort": ["offset"], "size": 100}

    def stored() -> dict[int, str]:
        logged.store.do("POST", f"/{stream('main')}/_refresh")
        hits = logged.store.do("POST", f"/{stream('main')}/_search", query)["hits"]["hits"]
        return {hit["_source"]["offset"]: hit["_source"]["event"] for hit in hits}

    wait_until(lambda: stored().keys() == STORABLE, STORED_SECONDS, "what can be stored is")
    assert stored()[3] == "m" * 1_000_000
    assert stored()[4] == "\ufffd\ufffd"
    wait_until(lambda: logged.refused - before == 2, 60, "both refused lines are counted")

    def kept() -> str:
        find = ["sh", "-c", "find /var/lib/airflow-platform-logs/refused -type f -exec cat {} +"]
        try:
            return run_in(logged.platform, "daemonset/fluentd", find, namespace=NAMESPACE)
        except Failure:
            return ""

    wait_until(lambda: "kkkk" in kept() and "broken" in kept(), 60, "both are kept on the node")
    assert any("lines were refused since it started" in line for line in logged.wrong())


def test_another_teams_lines_are_apart_and_neither_may_read_the_others(logged: Logged) -> None:
    def more(config: dict[str, list[dict[str, object]]]) -> None:
        config["airflows"].append(
            {**config["airflows"][0], "name": OTHER, "executor": "LocalExecutor", "parallelism": 4}
        )

    platform = logged.platform
    try:
        with platform.changed(more):
            platform.up()
            with platform.airflow(OTHER) as api:
                api.wait_for_dag(DAG)
                run_id = api.trigger(DAG, {"lines": 200})
                assert api.wait_for_run(DAG, run_id)["state"] == "success"
                (task,) = api.tasks(DAG, run_id)
                # A LocalExecutor's tasks print where the scheduler does.
                logged.whole(api, run_id, task, 200, airflow=OTHER)
            assert logged.stored(run_id) == 0
            for airflow, another in (("main", OTHER), (OTHER, "main")):
                assert asked(logged, airflow, stream(airflow)) == 200
                assert asked(logged, airflow, stream(another)) == 403
            # What one team prints in another's name stays its own.
            forged = line_of(f"{DAG}-speak-{run_id}--1-1")
            script = f"import time; print({forged!r}, flush=True); time.sleep(3)"
            run_pod(platform, "airflow-main", "pretends", {}, ["python", "-c", script])
            query = {"match_phrase": {"event": "forged"}}
            wait_until(lambda: logged.count(query) == 1, STORED_SECONDS, "the line is in its own team's stream")
            assert logged.count(query, OTHER) == 0
    finally:
        platform.up()


def line_of(log_id: str) -> str:
    told = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": "forged", "log_id": log_id, "offset": 1}
    return json.dumps(told, separators=(",", ":"))


def asked(logged: Logged, airflow: str, indices: str) -> int:
    """The status that an Airflow's own user gets for a search."""
    secret = logged.platform.view().secret(f"airflow-{airflow}", "elasticsearch")["url"]
    password = secret.partition("://")[2].partition("@")[0].partition(":")[2]
    return logged.store.ask("POST", f"/{indices}/_search", {}, user=reader_of(airflow), password=password).status
