"""The platform's notifications, in the real Airflow: one message for a failed run, by mail and to a web address."""

import json
import os
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROBE = Path(__file__).with_name("notify_probe.py")
PLUGIN = Path(__file__).parents[2] / "components/airflow/files/notifications.py"
DAG = """
import pendulum
from airflow.sdk import dag, task

@dag("fails", schedule="@daily", start_date=pendulum.datetime(2026, 1, 1), catchup=False)
def fails():
    @task
    def load(): ...
    load()

fails()
"""
COMMON = {"environment": "prod", "airflow": "main"}
TITLE = "[prod / main] DAG fails failed: scheduled__2026-02-01"
LOG = "https://airflow.example.com/main/dags/fails/runs/scheduled__2026-02-01/tasks/load?try_number=3"

pytestmark = pytest.mark.skipif(not PLUGIN.exists(), reason="this folder stands alone, without the platform's plugin")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notify")
    package = folder / "plugin" / "airflow_platform_notifications-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: airflow-platform-notifications\nVersion: 1\n")
    entry = "[airflow.plugins]\nnotifications = airflow_platform_notifications:Notifications\n"
    (package / "entry_points.txt").write_text(entry)
    plugin = PLUGIN.read_text().replace("@CONFIGURATION@", str(folder / "notifications.json"))
    # Nobody here is further away than this machine.
    plugin = plugin.replace("TIMEOUT_SECONDS = 10", "TIMEOUT_SECONDS = 2").replace(
        "LAST_SECONDS = 15", "LAST_SECONDS = 4"
    )
    (folder / "plugin/airflow_platform_notifications.py").write_text(plugin)
    (folder / "dags").mkdir()
    (folder / "dags/fails.py").write_text(DAG)
    program(folder, folder / "migrated", "-m", "airflow", "db", "migrate")
    return folder


def program(home: Path, airflow_home: Path, *command: str) -> str:
    """What a program says that has the plugin."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__API__BASE_URL": "https://airflow.example.com/main",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow_home}/airflow.db",
        "PYTHONPATH": str(home / "plugin"),
    }
    done = subprocess.run(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def run(home: Path, settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """How the runs ended, and all that the probe said."""
    (home / "notifications.json").write_text(json.dumps(COMMON | settings))
    airflow_home = home / settings["kind"]
    shutil.copytree(home / "migrated", airflow_home)
    said = program(home, airflow_home, str(PROBE), str(home / "dags/fails.py"))
    # What sends messages prints, too: its line may begin before the other one's end is written.
    found, _ = json.JSONDecoder().raw_decode(said, said.index('{"runs"'))
    return found, said


class Webhook(BaseHTTPRequestHandler):
    got: list[tuple[str | None, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.append((self.headers["Authorization"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as it is called)
        pass


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a client without a login needs."""

    got: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline().decode().strip():
            if line.upper() == "DATA":
                self.wfile.write(b"354 go on\r\n")
                lines: list[str] = []
                while (part := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(part)
                self.got.append("\n".join(lines))
            self.wfile.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 fine\r\n")


@contextmanager
def served(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def test_a_failed_run_is_posted_once_with_dag_run_task_try_and_log_and_a_good_one_is_not(home: Path) -> None:
    got: list[tuple[str | None, dict[str, Any]]] = []
    handler = type("Handler", (Webhook,), {"got": got})
    with served(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as port:
        url = f"http://127.0.0.1:{port}/hook"
        found, said = run(home, {"kind": "webhook", "url": url, "token": "a-token", "port": port})
    assert found["runs"]["scheduled__2026-02-01"] == "failed"
    assert [body["run"] for _, body in got] == ["scheduled__2026-02-01", "scheduled__2026-02-02"]
    authorization, body = got[0]
    assert authorization == "Bearer a-token"
    assert body["text"].splitlines()[0] == TITLE
    assert body | {"text": ""} == {
        **COMMON,
        "dag": "fails",
        "run": "scheduled__2026-02-01",
        "state": "failed",
        "reason": "task_failure",
        "logicalDate": "2026-02-01T00:00:00+00:00",
        "link": "https://airflow.example.com/main/dags/fails/runs/scheduled__2026-02-01",
        "tasks": [{"task": "load", "mapIndex": None, "try": 3, "log": LOG}],
        "text": "",
    }
    assert "notification sent: " + TITLE in said
    assert "a-token" not in said


def test_a_failed_run_is_mailed(home: Path) -> None:
    got: list[str] = []
    handler = type("Handler", (Mail,), {"got": got})
    server = {"kind": "smtp", "host": "127.0.0.1", "security": "none", "user": None, "password": None}
    with served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)) as port:
        run(home, server | {"port": port, "sender": "airflow@example.com", "to": ["a@example.com", "b@example.com"]})
    assert len(got) == 2
    assert f"Subject: {TITLE}" in got[0]
    assert "To: a@example.com, b@example.com" in got[0]
    assert "- task load failed in try 3: " in got[0]


def test_a_server_that_does_not_answer_delays_nothing_and_is_named_in_the_log_alone(home: Path) -> None:
    # Listens, and never answers.
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:
        port = silent.server_address[1]
        url = f"http://127.0.0.1:{port}/a-secret-path"
        found, said = run(home, {"kind": "slack", "url": url, "port": port})
    assert sorted(found["runs"].values()) == ["failed", "failed", "success"]
    problem = f"notification not sent (TimeoutError), tried again: {TITLE}"
    assert said.index('{"runs"') < said.index(problem), "the scheduler waited for the message"
    assert "a-secret-path" not in said
