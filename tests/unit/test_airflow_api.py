"""The client of Airflow's REST API, against a server that is too busy to answer in time."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ops import airflow_api
from ops.airflow_api import AirflowApi


class Busy(ThreadingHTTPServer):
    """Answers all requests but the first ``silent`` ones, which it hears."""

    def __init__(self, silent: int) -> None:
        self.heard: list[str] = []
        self.over = threading.Event()
        self.silent = silent
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Busy)
        server.heard.append(f"{self.command} {self.path}")
        if len(server.heard) <= server.silent:
            server.over.wait(10)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"state": "success"}' if "/dagRuns/" in self.path else b"{}")

    do_POST = do_GET  # noqa: N815 (http.server looks for it by this name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Says nothing."""


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Busy]:
    monkeypatch.setattr(airflow_api, "ANSWER_SECONDS", 0.3)
    server = Busy(request.param)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("busy", [1], indirect=True)
def test_a_look_that_gets_no_answer_is_taken_again(busy: Busy) -> None:
    assert AirflowApi(busy.url, "", "").get("/dags") == {}
    assert busy.heard == ["GET /api/v2/dags"] * 2


@pytest.mark.parametrize("busy", [9], indirect=True)
def test_an_api_server_that_never_answers_is_not_asked_for_ever(busy: Busy) -> None:
    with pytest.raises(TimeoutError):
        AirflowApi(busy.url, "", "").get("/dags")
    assert len(busy.heard) == 2


@pytest.mark.parametrize("busy", [9], indirect=True)
def test_what_changes_something_is_asked_for_once(busy: Busy) -> None:
    with pytest.raises(TimeoutError):
        AirflowApi(busy.url, "", "").post("/dags/one/dagRuns", {})
    assert len(busy.heard) == 1


@pytest.mark.parametrize("busy", [3], indirect=True)
def test_with_patience_it_is_asked_until_it_answers(busy: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "POLL_SECONDS", 0.01)
    assert AirflowApi(busy.url, "", "").get("/dags", patience_seconds=10) == {}
    assert busy.heard == ["GET /api/v2/dags"] * 4


@pytest.mark.parametrize("busy", [3], indirect=True)
def test_who_waits_for_a_run_does_not_mind_an_api_server_that_does_not_answer_for_a_while(
    busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_api, "POLL_SECONDS", 0.01)
    assert AirflowApi(busy.url, "", "").wait_for_run("one", "first") == {"state": "success"}
    assert len(busy.heard) == 4
