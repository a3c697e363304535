"""What hears the requests of dev stacks, against an API of the test's own: a whole list or none."""

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HEAR = Path(__file__).resolve().parents[2] / "components" / "desk" / "files" / "hear.py"


def secret(name: str, **more: object) -> dict[str, Any]:
    data = {"password": base64.b64encode(b"secret word").decode(), "connections": base64.b64encode(b"7").decode()}
    return {"metadata": {"name": name, **more}, "data": data}


class Api:
    """The Kubernetes API, as far as it is asked; ``broken`` answers with an error."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.broken = False
        self.asked = 0
        self.patched: list[Any] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked += 1
                assert self.headers["Authorization"] == "Bearer a-token"
                self._answer(500 if api.broken else 200, {"items": api.items})

            def do_PATCH(self) -> None:
                api.patched.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(200, {})

            def _answer(self, status: int, body: object) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
                del format, args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[Api, Path]]:
    account, folder = tmp_path / "account", tmp_path / "requests"
    account.mkdir()
    folder.mkdir()
    (account / "token").write_text("a-token")
    key, certificate = tmp_path / "key.pem", account / "ca.crt"
    subject = ["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, *subject]
    subprocess.run(made, check=True, capture_output=True)
    api = Api()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    api.server.socket = context.wrap_socket(api.server.socket, server_side=True)
    threading.Thread(target=api.server.serve_forever, daemon=True).start()
    program = tmp_path / "hear.py"
    text = HEAR.read_text(encoding="utf-8").replace("/run/requests", str(folder))
    program.write_text(text.replace("/var/run/secrets/kubernetes.io/serviceaccount", str(account)), encoding="utf-8")
    environment = {
        **os.environ,
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(api.server.server_address[1]),
        "REQUESTS_NAMESPACE": "dev-databases",
        "REQUESTS_LABEL": "x=true",
    }
    with subprocess.Popen([sys.executable, str(program)], env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield api, folder
        finally:
            process.terminate()
            api.server.shutdown()
            api.server.server_close()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"{what}: not within 60 s"
        time.sleep(0.1)


def names(folder: Path) -> list[str] | None:
    asked = folder / "asked"
    return sorted(path.name for path in asked.iterdir()) if asked.exists() else None


def test_it_writes_what_is_asked_for_and_publishes_what_was_made(heard: tuple[Api, Path]) -> None:
    api, folder = heard
    api.items = [secret("dev-alice"), secret("main"), secret("dev-bob", deletionTimestamp="2026-11-25T12:00:00Z")]
    wait_until(lambda: names(folder) == ["dev-alice"], "the one request that is one is written")
    assert (folder / "asked" / "dev-alice" / "password").read_text() == "secret word"
    (folder / "made").write_text("airflow_dev_alice\n")
    wait_until(lambda: api.patched == [{"data": {"roles": "airflow_dev_alice\n"}}], "what was made is published")
    api.items = []
    wait_until(lambda: names(folder) == [], "nothing is asked for any more")


def test_an_api_that_does_not_answer_is_not_one_that_asks_for_nothing(heard: tuple[Api, Path]) -> None:
    api, folder = heard
    api.items = [secret("dev-alice")]
    wait_until(lambda: names(folder) == ["dev-alice"], "it is written")
    api.broken, api.items = True, []
    before = api.asked
    wait_until(lambda: api.asked >= before + 2, "it was asked again")
    assert names(folder) == ["dev-alice"]
