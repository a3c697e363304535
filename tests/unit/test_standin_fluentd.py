"""The stand-in for fluentd brings each line of a task to the store once, or says what it can't."""

import json
import sys
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testbed.images.recipes import FLUENTD
from tests.unit.test_log_shipping import TASK_FILE, Pipeline, Store, line, offsets, wait


class StandIn(Pipeline):
    """The stand-in in fluentd's place."""

    program = (sys.executable, "-u", str(FLUENTD.folder / "ship.py"))


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[StandIn]:
    Store.documents, Store.status, Store.conflicts, Store.logins = {}, 200, 0, set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    Thread(target=server.serve_forever, daemon=True).start()
    made = StandIn(tmp_path, server.server_port)
    made.start()
    yield made
    made.kill()
    server.shutdown()
    server.server_close()


def test_each_line_of_a_task_is_there_once_whatever_is_in_it(pipeline: StandIn) -> None:
    events = ["plain", "ä" * 100_000, "two\nlines", "💥 unicode", '{"json":"inside"}', "busy"]
    own = {"nested": {"a": [1, None]}, "@timestamp": "the author's"}
    pipeline.write("an own line of the container", *(line(at, event, **own) for at, event in enumerate(events, 1)))
    pipeline.write(line(7).encode().replace(b'"line 7"', b'"\xff"'))
    wait(lambda: len(offsets()) == 7, "all events stored", pipeline)
    found = {document["offset"]: document for document in Store.documents.values()}
    assert [found[at]["event"] for at in range(1, 8)] == [*events, "\ufffd"]
    assert found[1]["nested"] == own["nested"]
    assert found[1]["@timestamp"].startswith("2026-01-01T00:00:00.123456789")
    assert found[1]["kubernetes"] == {"pod_name": "load-abc", "container_name": "base"}
    assert pipeline.metric("airflow_platform_logs_task_lines") >= 7


def test_one_that_is_killed_and_a_store_that_is_away_lose_and_double_nothing(pipeline: StandIn) -> None:
    pipeline.write(*(line(at) for at in range(1, 1001)))
    wait(lambda: len(offsets()) > 0, "the first lines stored", pipeline)
    pipeline.kill()
    Store.status = 503
    pipeline.write(*(line(at) for at in range(1001, 2001)))
    pipeline.start()
    wait(lambda: pipeline.metric("fluentd_output_status_retry_wait") > 0, "it says that it tries again", pipeline)
    Store.status = 200
    wait(lambda: len(offsets()) == 2000, "all lines stored", pipeline)
    assert offsets() == list(range(1, 2001))
    wait(lambda: pipeline.metric("fluentd_output_status_retry_wait") == 0, "it is well again", pipeline)


def test_a_rotated_file_and_one_that_is_deleted_with_its_pod_are_read_to_the_end(pipeline: StandIn) -> None:
    pipeline.write(line(1))
    wait(lambda: offsets() == [1], "the first line stored", pipeline)
    pipeline.write(*(line(at) for at in range(2, 502)))
    (pipeline.logs / TASK_FILE).rename(pipeline.logs / f"{TASK_FILE}.20260101-000000")
    pipeline.write(*(line(at) for at in range(502, 1002)))
    wait(lambda: len(offsets()) == 1001, "both files read", pipeline)
    Store.status = 503
    pipeline.write(line(1002))
    wait(lambda: pipeline.metric("fluentd_output_status_retry_wait") > 0, "the line waits", pipeline)
    pipeline.write(line(1003))
    (pipeline.logs / TASK_FILE).unlink()
    Store.status = 200
    wait(lambda: len(offsets()) == 1003, "all lines stored", pipeline)


def test_what_the_store_refuses_is_counted_and_kept_and_the_rest_goes_on(pipeline: StandIn) -> None:
    pipeline.write(line(1), line(2, "refuse me"), '{"event":broken,"log_id":"x","offset":3}', line(4))
    wait(lambda: offsets() == [1, 4], "what is right stored", pipeline)
    wait(lambda: pipeline.metric("airflow_platform_logs_refused_lines") == 2, "two lines counted", pipeline)
    kept = [json.loads(text)["line"] for text in (pipeline.state / "refused/lines.log").read_text().splitlines()]
    assert "broken" in kept[0]
    assert "refuse me" in kept[1]


def test_it_does_not_start_where_more_than_tasks_lines_is_asked_for(tmp_path: Path) -> None:
    made = StandIn(tmp_path, 1, components=True)
    made.start()
    assert made.process is not None
    assert made.process.wait(20) == 78
    assert "ships tasks' lines only" in (tmp_path / "fluentd.log").read_text()
