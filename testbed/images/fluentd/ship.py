"""Takes the lines of tasks from containers' log files to Elasticsearch. Usage: ship.py -c <fluentd's configuration>

A stand-in for fluentd: nothing of its configuration is read but whether it asks for more than tasks' lines, which is
refused. The files themselves are the buffer: a line is dealt with when the store has it, and is sent as often as it
takes, under the same id each time. What the store refuses for good is counted and kept.
"""

import base64
import hashlib
import http.client
import http.server
import json
import os
import re
import signal
import ssl
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tail import Line, Tails

LOOK_SECONDS = 0.5
LONGEST_WAIT = 30.0
AT_ONCE = 500
"""Lines in a request."""
TAKEN = (200, 201, 409)
"""409: it was there already."""
_TASK_LINE = re.compile(r'\{.*"log_id":"[^"]+","offset":\d+\}', re.DOTALL)
"""As in the platform's own configuration of fluentd."""


@dataclass(frozen=True)
class Document:
    """A line on its way: where it goes, under which id, and what it says."""

    index: str
    id: str
    fields: Mapping[str, Any]


class Figures:
    """What is asked for at the metrics' port, under the names that fluentd's plugins have."""

    def __init__(self) -> None:
        self.read = self.refused = self.retries = 0
        self.failing_since: float | None = None

    @property
    def text(self) -> str:
        """As Prometheus reads it."""
        waited = time.monotonic() - self.failing_since if self.failing_since else 0
        labels = '{plugin_id="tasks",type="elasticsearch"}'
        found = {
            "airflow_platform_logs_task_lines": self.read,
            "airflow_platform_logs_refused_lines": self.refused,
            f"fluentd_output_status_retry_count{labels}": self.retries,
            f"fluentd_output_status_retry_wait{labels}": f"{waited:.1f}",
        }
        return "".join(f"{name} {value}\n" for name, value in found.items())


class Store:
    """The Elasticsearch that the platform's variables name."""

    def __init__(self, variables: Mapping[str, str], authority: Path) -> None:
        self._host, self._port = variables["STORE_HOST"], int(variables["STORE_PORT"])
        self._path = variables["STORE_PATH"]
        login = f"{variables['STORE_USER']}:{variables['STORE_PASSWORD']}"
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/x-ndjson",
        }
        self._tls: ssl.SSLContext | None = None
        if variables["STORE_SCHEME"] == "https":
            self._tls = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)

    def send(self, documents: Sequence[Document]) -> list[tuple[int, Any]]:
        """What became of each: a status, and the error if it is one. OSError where none of them was looked at."""
        said = "".join(
            json.dumps({"create": {"_index": one.index, "_id": one.id}}) + "\n" + json.dumps(one.fields) + "\n"
            for one in documents
        )
        if self._tls:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=30, context=self._tls)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        try:
            connection.request("POST", f"{self._path}/_bulk", said.encode(), self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise OSError(repr(error)) from None
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise OSError(f"[{answer.status}] {body[:300].decode(errors='replace')}")
        items = [item["create"] for item in json.loads(body)["items"]]
        return [(item["status"], item.get("error")) for item in items]


def document(line: Line) -> Document | None:
    """A task's line as the store gets it. Raises ValueError where it is not what it looks like; None: no task's."""
    if not _TASK_LINE.fullmatch(line.text):
        return None
    fields = json.loads(line.text)
    known = f"{fields['log_id']} {fields['offset']}"
    about = {"kubernetes": {"pod_name": line.pod, "container_name": line.container}, "stream": line.stream}
    return Document(
        f"logs-airflow.task-{line.team}",
        hashlib.sha256(known.encode()).hexdigest(),
        {**fields, **about, "@timestamp": line.time},
    )


class Shipper:
    """Reads, sends, and remembers how far it is, for ever."""

    def __init__(self, tails: Tails, store: Store, refused: Path, figures: Figures) -> None:
        self._tails, self._store, self._refused, self._figures = tails, store, refused, figures
        refused.parent.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            self._tails.look()
            lines = self._tails.lines()
            documents: list[Document] = []
            for line in lines:
                try:
                    found = document(line)
                except (ValueError, KeyError) as error:
                    self._refuse(line.text, str(error))
                    continue
                if found:
                    documents.append(found)
            self._figures.read += len(documents)
            for at in range(0, len(documents), AT_ONCE):
                self._deliver(documents[at : at + AT_ONCE])
            if lines:
                self._tails.settle()
            else:
                time.sleep(LOOK_SECONDS)

    def _deliver(self, documents: Sequence[Document]) -> None:
        wait = 1.0
        while documents:
            try:
                results = self._store.send(documents)
            except OSError as error:
                failure = str(error)
            else:
                documents, failure = self._left(documents, results)
            if not documents:
                break
            self._figures.failing_since = self._figures.failing_since or time.monotonic()
            self._figures.retries += 1
            print(f"failed to flush the buffer, {len(documents)} lines wait: {failure}", flush=True)
            end = time.monotonic() + wait
            while time.monotonic() < end:  # new files must be open before they are gone
                self._tails.look()
                time.sleep(LOOK_SECONDS)
            wait = min(2 * wait, LONGEST_WAIT)
        self._figures.failing_since = None

    def _left(self, documents: Sequence[Document], results: Sequence[tuple[int, Any]]) -> tuple[list[Document], str]:
        left: list[Document] = []
        failure = ""
        for one, (status, error) in zip(documents, results, strict=True):
            if status in TAKEN:
                continue
            if status == http.client.TOO_MANY_REQUESTS or status >= http.client.INTERNAL_SERVER_ERROR:
                left.append(one)
                failure = f"[{status}] {json.dumps(error)[:300]}"
            else:
                self._refuse(json.dumps(one.fields), json.dumps(error))
        return left, failure

    def _refuse(self, text: str, reason: str) -> None:
        self._figures.refused += 1
        print(f"error: a line was refused: {reason[:300]}", flush=True)
        with self._refused.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"reason": reason, "line": text}) + "\n")


def serve(port: int, figures: Figures) -> None:
    """Have the figures read at ``/metrics``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = figures.text.encode()
            self.send_response(http.client.OK)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(arguments: Sequence[str]) -> int:
    """Ship; returns only where it can't begin."""
    if len(arguments) != 2 or arguments[0] != "-c":
        print(__doc__, file=sys.stderr)
        return 64
    folder = Path(arguments[1]).parent
    if "@type null" not in (folder / "components.conf").read_text(encoding="utf-8"):
        print("the stand-in for fluentd ships tasks' lines only: leave logs.components out", file=sys.stderr)
        return 78
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # what was not sent is in the files
    variables, figures = os.environ, Figures()
    state = Path(variables["STATE_FOLDER"])
    known = re.search(r"^ca_file (\S+)", (folder / "authority.conf").read_text(encoding="utf-8"), re.MULTILINE)
    store = Store(variables, Path(known[1] if known else "/none"))
    serve(int(variables["METRICS_PORT"]), figures)
    patterns = [Path(pattern) for pattern in variables["LOG_FILES"].split(",")]
    tails = Tails(patterns, state / "positions.json")
    print("the stand-in for fluentd ships", flush=True)
    Shipper(tails, store, state / "refused/lines.log", figures).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
