"""Task logs read back by Airflow's own handler and the provider's client, from a server that speaks the search API."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.utils.log.file_task_handler import FileTaskHandler
from airflow.utils.state import TaskInstanceState
from airflow_platform_logs import handler as handler_module
from airflow_platform_logs.handler import StoredTaskHandler
from airflow_platform_logs.remote import PAGE, StdoutTaskLogs

PATH = "dag_id=d/run_id=r/task_id=t/attempt=2.log"
LOG_ID = "d-t-r--1-2"


class Store(BaseHTTPRequestHandler):
    """Answers searches over ``documents`` as Elasticsearch does: filter, order, size."""

    documents: list[dict[str, Any]]
    asked: list[str]
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(self.path)
        filters = body["query"]["bool"]["filter"]
        phrase = filters[0]["match_phrase"]["log_id"]
        bounds = next((one["range"]["offset"] for one in filters[1:]), {})
        (order,) = (one["offset"]["order"] for one in body["sort"])
        found = [
            one
            for one in self.documents
            # As a store does that takes the id for words.
            if phrase in one["log_id"] and bounds.get("gt", 0) < one["offset"] <= bounds.get("lte", 2**62)
        ]
        found.sort(key=lambda one: one["offset"], reverse=order == "desc")
        answer = json.dumps({"hits": {"hits": [{"_source": one} for one in found[: body["size"]]]}}).encode()
        self.send_response(self.status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Store]]:
    monkeypatch.setattr(Store, "documents", [], raising=False)
    monkeypatch.setattr(Store, "asked", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AIRFLOW__ELASTICSEARCH__HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AIRFLOW__ELASTICSEARCH__INDEX_PATTERNS", "logs-airflow.task-main")
    monkeypatch.setenv("AIRFLOW__ELASTICSEARCH__FRONTEND", "https://kibana.example.com/app/discover#/?q={log_id}")
    remote = StdoutTaskLogs("/opt/airflow/logs")
    monkeypatch.setattr(handler_module, "get_remote_task_log", lambda: remote)
    yield Store
    server.shutdown()
    server.server_close()


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> StoredTaskHandler:
    monkeypatch.setattr(StoredTaskHandler, "_render_filename", lambda *_: PATH)
    monkeypatch.setattr(FileTaskHandler, "_read", lambda *_: (iter(["as Airflow does"]), {"log_pos": 1}))
    return StoredTaskHandler("/opt/airflow/logs")


def document(offset: int, log_id: str = LOG_ID, **more: Any) -> dict[str, Any]:
    # All in one millisecond, as in a burst.
    said = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": f"line {offset}"}
    return {**said, "log_id": log_id, "offset": offset, "@timestamp": "x", "kubernetes": {"pod_name": "p"}, **more}


def ti(state: TaskInstanceState = TaskInstanceState.SUCCESS, try_number: int = 2) -> Any:
    return SimpleNamespace(state=state, try_number=try_number)


def events(stream: Any) -> list[str]:
    return [message.event for message in stream]


def test_every_line_comes_once_and_in_order_over_many_pages(store: type[Store], handler: StoredTaskHandler) -> None:
    count = 2 * PAGE + 1
    store.documents = [document(offset) for offset in reversed(range(1, count + 1))]
    stream, metadata = handler._read(ti(), 2)
    header, lines = (read := events(stream))[:3], read[3:]
    assert lines == [f"line {offset}" for offset in range(1, count + 1)]
    assert header[1] == "Elasticsearch, logs-airflow.task-main"
    assert metadata["end_of_log"]
    assert all(path.startswith("/logs-airflow.task-main/_search") for path in store.asked)


def test_only_this_trys_lines_come(store: type[Store], handler: StoredTaskHandler) -> None:
    store.documents = [document(1, f"{LOG_ID}2"), document(2), document(3, f"x-{LOG_ID}")]
    assert events(handler._read(ti(), 2)[0])[3:] == ["line 2"]


def test_a_running_tasks_new_lines_follow_those_already_shown(store: type[Store], handler: StoredTaskHandler) -> None:
    running = ti(TaskInstanceState.RUNNING)
    store.documents = [document(1), document(2)]
    stream, metadata = handler._read(running, 2)
    assert events(stream)[3:] == ["line 1", "line 2"]
    assert metadata == {"end_of_log": False, "offset": 2}
    store.documents.append(document(3))
    stream, metadata = handler._read(running, 2, metadata)
    assert events(stream) == ["line 3"]
    # An earlier try has ended, whatever the task does now.
    assert handler._read(ti(TaskInstanceState.RUNNING, 3), 2)[1]["end_of_log"]


def test_a_line_keeps_its_fields_and_loses_what_shippers_added(store: type[Store], handler: StoredTaskHandler) -> None:
    store.documents = [document(1, logger="mine", error_detail=[{"exc_type": "KeyError"}])]
    (message,) = list(handler._read(ti(), 2)[0])[3:]
    assert message.model_dump(exclude={"timestamp"}) == {
        "level": "info",
        "event": "line 1",
        "logger": "mine",
        "error_detail": [{"exc_type": "KeyError"}],
        "log_id": LOG_ID,
        "offset": 1,
    }


@pytest.mark.usefixtures("store")
def test_before_the_first_line_airflow_reads_pod_or_worker(handler: StoredTaskHandler) -> None:
    assert list(handler._read(ti(TaskInstanceState.RUNNING), 2)[0]) == ["as Airflow does"]


def test_a_store_that_fails_is_named_and_the_rest_is_shown(store: type[Store], handler: StoredTaskHandler) -> None:
    store.status = 403
    first, *rest = handler._read(ti(), 2)[0]
    assert first.event.startswith("Elasticsearch can't be read: AuthorizationException")
    assert rest == ["as Airflow does"]


@pytest.mark.usefixtures("store")
def test_there_is_a_link_to_kibana_where_its_address_is_known(
    handler: StoredTaskHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert handler.supports_external_link
    assert handler.get_external_log_url(ti(), 2) == f"https://kibana.example.com/app/discover#/?q={LOG_ID}"
    monkeypatch.setenv("AIRFLOW__ELASTICSEARCH__FRONTEND", "localhost:5601")
    assert not handler.supports_external_link
