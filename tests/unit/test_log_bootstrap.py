"""What the log store's two scripts do, by bash and curl themselves: a plan is applied, and a node is ready."""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

FILES = Path(__file__).resolve().parents[2] / "components/logs/files"
PASSWORD = "hunter2OfElastic"
PLAN = """\
PUT /_ilm/policy/airflow-logs lifecycle.json
MAKE /_data_stream/logs-airflow.task-main
PUT /logs-airflow.*/_settings replicas.json
PUT /_security/user/fluentd user-fluentd.json
DROP /_security/user/airflow-gone
"""


class Server(BaseHTTPRequestHandler):
    """Keeps what it is asked, and answers what a test has told it to, by verb and path; 200 otherwise."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str]]
    bodies: dict[str, bytes]
    logins: set[str]
    answers: dict[tuple[str, str], list[tuple[int, str]]]

    def parse_request(self) -> bool:
        """Answers every verb alike."""
        whole = super().parse_request()
        if whole:
            setattr(self, f"do_{self.command}", self._answer)
        return whole

    def _answer(self) -> None:
        key = (self.command, self.path)
        self.asked.append(key)
        self.logins.add(self.headers.get("Authorization", ""))
        self.bodies[self.path] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = self.answers.get(key, [])
        status, text = (told.pop(0) if len(told) > 1 else told[0]) if told else (200, "{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Server.asked, Server.bodies, Server.logins, Server.answers = [], {}, set(), {}
    made = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def applied(server: ThreadingHTTPServer, folder: Path, plan: str = PLAN) -> subprocess.CompletedProcess[str]:
    """What the script says to a plan. Its pauses and places are made a test's own."""
    (folder / "plan").write_text(plan)
    for name in ("lifecycle.json", "replicas.json", "user-fluentd.json", "objects.ndjson"):
        (folder / name).write_text(json.dumps({"file": name}))
    (folder / "curl.conf").write_text(f'user = "elastic:{PASSWORD}"\n')
    text = (FILES / "bootstrap.sh").read_text()
    for old, new in (
        ("/run/secrets/elastic/curl.conf", f"{folder}/curl.conf"),
        ("answer=/tmp/answer", f"answer={folder}/answer"),
        ("--retry-delay 5", "--retry-delay 1"),
        ("sleep 10", "sleep 0.1"),
        ("-ge 60", "-ge 3"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    script = folder / "bootstrap.sh"
    script.write_text(text)
    return subprocess.run(
        ["bash", str(script), str(folder)],
        env={
            "PATH": "/usr/bin:/bin",
            "SERVER": f"http://127.0.0.1:{server.server_port}",
            "HEALTH": "/_cluster/health?wait_for_status=yellow",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_plan_is_applied_line_by_line_once_the_server_is_well(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    health = ("GET", "/_cluster/health?wait_for_status=yellow")
    Server.answers = {
        health: [(503, "{}"), (200, "{}")],
        ("GET", "/_data_stream/logs-airflow.task-main"): [(404, "{}")],
        ("DELETE", "/_security/user/airflow-gone"): [(404, "{}")],
    }
    done = applied(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert Server.asked == [
        health,
        health,
        ("PUT", "/_ilm/policy/airflow-logs"),
        ("GET", "/_data_stream/logs-airflow.task-main"),
        ("PUT", "/_data_stream/logs-airflow.task-main"),
        ("PUT", "/logs-airflow.*/_settings"),
        ("PUT", "/_security/user/fluentd"),
        ("DELETE", "/_security/user/airflow-gone"),
    ]
    assert json.loads(Server.bodies["/_security/user/fluentd"]) == {"file": "user-fluentd.json"}
    assert len(Server.logins) == 1
    assert next(iter(Server.logins)).startswith("Basic ")


def test_what_is_there_stays(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert applied(server, tmp_path).returncode == 0
    assert ("PUT", "/_data_stream/logs-airflow.task-main") not in Server.asked


def test_a_busy_server_is_asked_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    put = ("PUT", "/_ilm/policy/airflow-logs")
    Server.answers = {put: [(429, "{}"), (200, "{}")]}
    assert applied(server, tmp_path).returncode == 0
    assert Server.asked.count(put) == 2


def test_a_refusal_ends_it_and_says_what_was_refused_and_no_password(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    Server.answers = {("PUT", "/_ilm/policy/airflow-logs"): [(400, '{"error":"no such phase"}')]}
    done = applied(server, tmp_path)
    assert done.returncode == 1
    assert "PUT /_ilm/policy/airflow-logs: 400" in done.stdout
    assert "no such phase" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert Server.asked[-1] == ("PUT", "/_ilm/policy/airflow-logs"), "it went on"


def test_a_server_that_never_gets_well_is_named(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    Server.answers = {("GET", "/_cluster/health?wait_for_status=yellow"): [(503, "{}")]}
    done = applied(server, tmp_path)
    assert done.returncode == 1
    assert "says 503 after 3 looks" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [('{"success":true}', 0), ('{"success":false,"errors":["one"]}', 1)])
def test_objects_are_imported_and_some_that_are_refused_are_a_failure(
    server: ThreadingHTTPServer, tmp_path: Path, answer: str, code: int
) -> None:
    path = "/api/saved_objects/_import?overwrite=true"
    Server.answers = {("POST", path): [(200, answer)]}
    done = applied(server, tmp_path, f"IMPORT {path} objects.ndjson\n")
    assert done.returncode == code, done.stderr
    assert b'filename="objects.ndjson"' in Server.bodies[path]


def test_a_plan_with_a_slip_is_not_applied_to_its_end(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    done = applied(server, tmp_path, "PATCH /_x y.json\nPUT /_ilm/policy/airflow-logs lifecycle.json\n")
    assert done.returncode == 1
    assert "unknown verb: PATCH" in done.stderr
    assert ("PUT", "/_ilm/policy/airflow-logs") not in Server.asked


class Node:
    """The readiness script with a curl that says what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says("")

    def says(self, text: str, code: int = 0) -> None:
        fake = self.folder / "curl"
        fake.write_text(f"#!/bin/bash\necho \"$*\" >>{self.folder}/asked\nprintf '%s' '{text}'\nexit {code}\n")
        fake.chmod(0o755)

    def ready(self, patience: int = 10**9) -> bool:
        text = (FILES / "ready.sh").read_text()
        for old, new in (("PATIENCE=1200", f"PATIENCE={patience}"), ("/tmp/was-green", f"{self.folder}/was-green")):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        done = subprocess.run(
            ["bash", "-c", text],
            env={"PATH": f"{self.folder}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.stderr == ""
        return done.returncode == 0

    @property
    def asked(self) -> list[str]:
        return [line.rpartition(" ")[2] for line in (self.folder / "asked").read_text().splitlines()]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_node_is_ready_when_the_cluster_has_been_green_and_then_as_long_as_it_answers(node: Node) -> None:
    node.says('{"status":"yellow"}')
    assert not node.ready()
    node.says('{"status":"green"}')
    assert node.ready()
    node.says('{"status":"red"}')
    assert node.ready(), "a cluster that is no longer green is what it has to be reached for"
    node.says("", code=7)
    assert not node.ready()
    health, root = "https://localhost:9200/_cluster/health?filter_path=status", "https://localhost:9200/"
    assert node.asked == [health, health, root, root]


def test_a_node_that_answers_is_ready_in_the_end_though_the_cluster_is_not_green(node: Node) -> None:
    node.says('{"status":"red"}')
    assert not node.ready()
    assert node.ready(patience=0)
    node.says("", code=7)
    assert not node.ready(patience=0)
