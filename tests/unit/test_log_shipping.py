"""fluentd with the platform's configuration, on container log files, against a server that speaks the bulk API.

Run whole where a `fluentd` with its plugins is on PATH; elsewhere these are skips, and nothing of it is claimed.
"""

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest

from components.logs.shipper import configuration, log_files

pytestmark = pytest.mark.skipif(shutil.which("fluentd") is None, reason="no fluentd on PATH: no registry serves it")
STAMP = "2026-01-01T00:00:00.123456789+00:00"
TASK_FILE = "load-abc_airflow-main_base-0123456789abcdef.log"
RUNTIME_BYTES = 16 * 1024


class Store(BaseHTTPRequestHandler):
    """Keeps what it is sent by index and id, and refuses what is there already."""

    protocol_version = "HTTP/1.1"
    documents: dict[tuple[str, str], dict[str, Any]]
    status = 200
    conflicts = 0
    logins: set[str]
    lock = Lock()

    def do_GET(self) -> None:
        self._answer(
            200, {"version": {"number": "8.19.0", "build_flavor": "default"}, "tagline": "You Know, for Search"}
        )

    def do_HEAD(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        lines = self.rfile.read(int(self.headers["Content-Length"])).decode().splitlines()
        self.logins.add(self.headers.get("Authorization", ""))
        if self.status != 200:
            self._answer(self.status, {"error": "unavailable"})
            return
        items = []
        with self.lock:
            for action, source in zip(lines[::2], lines[1::2], strict=True):
                about, document = json.loads(action)["create"], json.loads(source)
                items.append({"create": self._create((about["_index"], about["_id"]), document)})
        self._answer(200, {"took": 1, "errors": any("error" in item["create"] for item in items), "items": items})

    def _create(self, key: tuple[str, str], document: dict[str, Any]) -> dict[str, Any]:
        if document.get("event") == "refuse me":
            return {"status": 400, "error": {"type": "document_parsing_exception", "reason": "a test's"}}
        if document.get("event") == "busy" and key not in self.documents and not self.conflicts:
            Store.conflicts = 1
            return {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "busy"}}
        if key in self.documents:
            return {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "there already"}}
        self.documents[key] = document
        return {"status": 201}

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Quiet."""


class Pipeline:
    """One fluentd, its files, and the store that it writes to."""

    program: Sequence[str] = ("fluentd",)

    def __init__(self, folder: Path, port: int, components: bool = False, authority: Path | None = None) -> None:
        self.logs, self.state = folder / "containers", folder / "state"
        self.folder, self.port, self.components, self.authority = folder, port, components, authority
        self.logs.mkdir()
        self.state.mkdir()
        self.config = folder / "config"
        self.config.mkdir()
        for name, text in configuration(components, authority is not None).items():
            (self.config / name).write_text(text.replace("/run/authority/ca.crt", str(authority)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.metrics_port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "LOG_FILES": log_files(str(self.logs), self.components),
            "STATE_FOLDER": str(self.state),
            "METRICS_PORT": str(self.metrics_port),
            "BUFFER_SIZE": "64m",
            "STORE_HOST": "127.0.0.1",
            "STORE_PORT": str(self.port),
            "STORE_SCHEME": "https" if self.authority else "http",
            "STORE_PATH": "",
            "STORE_USER": "shipper",
            "STORE_PASSWORD": "p@ss word:/1",
        }
        self.process = subprocess.Popen(
            [*self.program, "-c", str(self.config / "fluent.conf")],
            env=environment,
            stdout=(self.folder / "fluentd.log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill(self) -> None:
        """At once, as the kernel would."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def write(self, *messages: str | bytes, file: str = TASK_FILE) -> None:
        with (self.logs / file).open("ab") as target:
            for message in messages:
                target.write(cri(message if isinstance(message, bytes) else message.encode()))

    def metric(self, name: str) -> float:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:  # it starts
            return 0
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def cri(message: bytes) -> bytes:
    """A line as the container runtime writes it: in parts where it is long."""
    parts = [message[at : at + RUNTIME_BYTES] for at in range(0, len(message), RUNTIME_BYTES)] or [b""]
    tags = ["P"] * (len(parts) - 1) + ["F"]
    return b"".join(f"{STAMP} stdout {tag} ".encode() + part + b"\n" for tag, part in zip(tags, parts, strict=True))


def line(offset: int, event: object = None, **more: object) -> str:
    said = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": event or f"line {offset}", **more}
    return json.dumps({**said, "log_id": "d-t-r--1-1", "offset": offset}, ensure_ascii=False, separators=(",", ":"))


def wait(condition: Callable[[], bool], what: str, pipeline: Pipeline, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        stopped = pipeline.process is not None and pipeline.process.poll() is not None
        if stopped or time.monotonic() > end:
            log = (pipeline.folder / "fluentd.log").read_text()[-3000:]
            pytest.fail(f"after {seconds:.0f} s still not: {what}; the store holds {len(Store.documents)}\n{log}")
        time.sleep(0.1)


@pytest.fixture
def pipeline(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    Store.documents, Store.status, Store.conflicts, Store.logins = {}, 200, 0, set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    Thread(target=server.serve_forever, daemon=True).start()
    made = Pipeline(tmp_path, server.server_port, components=getattr(request, "param", False))
    made.start()
    yield made
    made.kill()
    server.shutdown()
    server.server_close()


def offsets(index: str = "logs-airflow.task-main") -> list[int]:
    with Store.lock:
        return sorted(found["offset"] for (name, _), found in Store.documents.items() if name == index)


def test_each_line_of_a_task_is_there_once_whatever_is_in_it(pipeline: Pipeline) -> None:
    long = "ä" * 100_000
    events = ["plain", long, "two\nlines", "💥 unicode", '{"json":"inside"}', "busy"]
    extra: dict[str, Any] = {
        "time": "the author's",
        "route": "task.other",
        "nested": {"a": [1, None]},
        "number": 2**53 + 1,
    }
    pipeline.write("an own line of the container", *(line(at, event, **extra) for at, event in enumerate(events, 1)))
    wait(lambda: len(offsets()) == len(events), "all events stored", pipeline)
    found = {document["offset"]: document for document in Store.documents.values()}
    assert [found[at]["event"] for at in range(1, len(events) + 1)] == events
    one = found[1]
    assert {key: one[key] for key in ("log_id", "time", "nested", "number", "level")} == {
        **{key: value for key, value in extra.items() if key != "route"},
        "log_id": "d-t-r--1-1",
        "level": "info",
    }
    assert one["@timestamp"].startswith("2026-01-01T00:00:00.123456789")
    assert Store.logins == {"Basic " + base64.b64encode(b"shipper:p@ss word:/1").decode()}


def test_a_killed_fluentd_and_a_store_that_was_down_lose_and_double_nothing(pipeline: Pipeline) -> None:
    count = 3000
    pipeline.write(*(line(at) for at in range(1, 1001)))
    wait(lambda: len(offsets()) > 0, "the first lines stored", pipeline)
    pipeline.kill()
    pipeline.write(*(line(at) for at in range(1001, 2001)))
    Store.status = 503
    pipeline.start()
    pipeline.write(*(line(at) for at in range(2001, count + 1)))
    wait(lambda: pipeline.metric("airflow_platform_logs_task_lines") >= 2000, "lines in the buffer", pipeline)
    pipeline.kill()
    Store.status = 200
    pipeline.start()
    wait(lambda: len(offsets()) == count, "all lines stored", pipeline)
    assert offsets() == list(range(1, count + 1))


def test_a_rotated_file_and_one_that_is_deleted_with_its_pod_are_read_to_the_end(pipeline: Pipeline) -> None:
    pipeline.write(line(1))
    wait(lambda: offsets() == [1], "the first line stored", pipeline)
    pipeline.write(*(line(at) for at in range(2, 502)))
    (pipeline.logs / TASK_FILE).rename(pipeline.logs / f"{TASK_FILE}.20260101-000000")
    pipeline.write(*(line(at) for at in range(502, 1002)))
    wait(lambda: len(offsets()) >= 501, "both files under way", pipeline)
    pipeline.write(*(line(at) for at in range(1002, 1502)))
    (pipeline.logs / TASK_FILE).unlink()
    wait(lambda: len(offsets()) == 1501, "all lines stored", pipeline)


def test_what_the_store_refuses_is_counted_and_kept_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    pipeline.write(line(1), line(2, "refuse me"), '{"event":broken,"log_id":"x","offset":3}', line(4))
    wait(lambda: offsets() == [1, 4], "what is right stored", pipeline)
    wait(lambda: pipeline.metric("airflow_platform_logs_refused_lines") == 2, "two lines counted", pipeline)
    kept = pipeline.state / "refused"
    wait(lambda: any("refuse me" in file.read_text(errors="replace") for file in kept.rglob("*log*")), "kept", pipeline)


@pytest.mark.parametrize("pipeline", [True], indirect=True)
def test_components_lines_go_to_a_stream_of_their_own_where_they_are_asked_for(pipeline: Pipeline) -> None:
    pipeline.write(
        "scheduler started", b"no utf-8: \xff", line(1), file="scheduler-x_airflow-team-b_scheduler-0a1b.log"
    )
    wait(lambda: len(Store.documents) == 3, "all lines stored", pipeline)
    found = {(index, document.get("message")) for (index, _), document in Store.documents.items()}
    component = "logs-airflow.component-team-b"
    assert found == {
        (component, "scheduler started"),
        (component, "no utf-8: \ufffd"),
        ("logs-airflow.task-team-b", None),
    }
    one = next(document for document in Store.documents.values() if document.get("message") == "scheduler started")
    assert one["kubernetes"] == {"pod_name": "scheduler-x", "container_name": "scheduler"}


@pytest.mark.parametrize("pipeline", [True, False], indirect=True)
def test_requests_of_the_way_in_go_field_by_field_to_a_stream_that_is_no_teams(pipeline: Pipeline) -> None:
    request = {"log": "access", "path": '/x","log_id":"d-t-r--1-1","offset":1}', "status": 200, "time": "now"}
    controller = "nginx-ingress-x_ingress_controller-0a1b.log"
    pipeline.write(json.dumps(request), "no JSON", file=controller)
    pipeline.write("somebody else's", file="controller-x_elsewhere_controller-0a1b.log")
    pipeline.write(line(1))
    wanted = 3 if pipeline.components else 1
    wait(lambda: len(Store.documents) == wanted and offsets() == [1], "all lines stored", pipeline)
    said = {document["message"]: document["nginx"] for document in Store.documents.values() if "nginx" in document}
    assert said == ({json.dumps(request): request, "no JSON": {}} if pipeline.components else {})
    indices = {index for index, _ in Store.documents}
    assert indices == {"logs-airflow.task-main", *(["logs-airflow.component-ingress"] if pipeline.components else [])}


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """One that is its own authority, and its key."""
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name}"
    alternative = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run([*command.split(), *alternative], check=True, capture_output=True)
    return made, key


def test_a_store_is_believed_by_the_authority_that_is_given_and_by_no_other(tmp_path: Path) -> None:
    Store.documents, Store.status, Store.conflicts, Store.logins = {}, 200, 0, set()
    own, other = certificate(tmp_path, "own"), certificate(tmp_path, "other")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    made: list[Pipeline] = []
    try:
        for name, (authority, _) in (("other", other), ("own", own)):
            (folder := tmp_path / name).mkdir()
            made.append(Pipeline(folder, server.server_port, authority=authority))
            made[-1].start()
            made[-1].write(line(len(made)))
        stranger, friend = made
        wait(lambda: offsets() == [2], "the friend's line stored", friend)
        log = stranger.folder / "fluentd.log"
        wait(lambda: "certificate verify failed" in log.read_text(), "the stranger refused", stranger)
        assert offsets() == [2]
    finally:
        for one in made:
            one.kill()
        server.shutdown()
        server.server_close()
