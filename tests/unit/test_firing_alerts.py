"""What `make status` says of alerts that fire."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops import alerts
from ops.target import Target, target
from testbed.progress import Failure, Progress
from tests.unit.test_ops import write_stack


def alert(name: str, severity: str, since: str) -> dict[str, object]:
    return {
        "labels": {"alertname": name, "severity": severity, "airflow": "main"},
        "annotations": {"summary": f"{name} of Airflow main", "runbook": f"docs/runbooks/{name}.md"},
        "startsAt": since,
    }


FIRING = [
    alert("QuotaNearLimit", "warning", "2026-11-25T10:00:00.000Z"),
    alert("AirflowSchedulerDown", "page", "2026-11-25T11:00:00.000Z"),
]


@pytest.fixture
def alertmanager(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that answers as Alertmanager would."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/api/v2/alerts?active=true&silenced=false&inhibited=false"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(FIRING).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as it is called)
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        @contextmanager
        def reach(target: Target, namespace: str, service: str, port: int) -> Iterator[str]:
            assert (namespace, service, port) == ("metrics", "alertmanager", 9093)
            yield f"http://127.0.0.1:{server.server_port}"

        monkeypatch.setattr(alerts, "reach", reach)
        yield
        server.shutdown()


def stack(tmp_path: Path, **changes: object) -> Target:
    write_stack(tmp_path, **changes)
    return target("mine", Progress(), tmp_path)


def test_what_somebody_gets_up_for_comes_first_with_the_page_that_says_what_to_do(
    tmp_path: Path, alertmanager: None
) -> None:
    assert alerts.firing_alerts(stack(tmp_path, metrics={"kind": "prometheus"})) == [
        "alert AirflowSchedulerDown (page, since 2026-11-25T11:00Z): AirflowSchedulerDown of Airflow main. "
        "Mend: docs/runbooks/AirflowSchedulerDown.md",
        "alert QuotaNearLimit (warning, since 2026-11-25T10:00Z): QuotaNearLimit of Airflow main. "
        "Mend: docs/runbooks/QuotaNearLimit.md",
    ]


def test_nothing_is_asked_where_nothing_watches(tmp_path: Path, alertmanager: None) -> None:
    assert alerts.firing_alerts(stack(tmp_path)) == []


def test_an_alertmanager_that_does_not_answer_is_wrong_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Failure("no way")

    monkeypatch.setattr(alerts, "reach", away)
    (line,) = alerts.firing_alerts(stack(tmp_path, metrics={"kind": "prometheus"}))
    assert "its alerts can't be asked for: no way" in line
