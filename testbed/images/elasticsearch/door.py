"""HTTPS as Elasticsearch answers it: media types, the product's header, certificates that may change meanwhile."""

import http.server
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any, cast

from configuration import Tls
from elastic import VERSION, Elasticsearch
from messages import JSON, Answer, ElasticError, Node, Request, authorization, said

IDLE_SECONDS = 300
LARGEST_BODY = 100 * 1024 * 1024
_MAJOR = int(VERSION.split(".", maxsplit=1)[0])
_VENDOR = re.compile(r"application/vnd\.elasticsearch\+(json|x-ndjson)\s*;\s*compatible-with\s*=\s*(\d+)")
_PLAIN = re.compile(r"(application/(json|x-ndjson)|text/plain)(\s*;\s*charset=utf-8)?|\*/\*", re.IGNORECASE)


def compatible(header: str | None, name: str) -> str | None:
    """The major version that a header asks to be compatible with, None where it names none. Refuses other types."""
    for kind in (header or "").split(","):
        asked = kind.partition(";q=")[0].strip()
        if vendor := _VENDOR.fullmatch(asked):
            if int(vendor[2]) not in (_MAJOR, _MAJOR - 1):
                raise ElasticError(
                    400,
                    "media_type_header_exception",
                    f"{name} version must be either version {_MAJOR} or {_MAJOR - 1}, but found {vendor[2]}. "
                    f"{name}={header}",
                )
            return vendor[2]
        if not asked or _PLAIN.fullmatch(asked):
            return None
    raise ElasticError(406, "media_type_header_exception", f"{name} header [{header}] is not supported")


class Door(http.server.ThreadingHTTPServer):
    """Listens on all addresses. ``password`` is the superuser's; without ``tls`` it speaks plain HTTP."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, tls: Tls | None, password: str, node: Callable[[], Node]) -> None:
        super().__init__(("0.0.0.0", port), Handler)
        self.password = password
        self.node = node
        self._tls = tls
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[float, float], ssl.SSLContext] | None = None

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread: a client that is slow at it is slow for itself."""
        request.settimeout(IDLE_SECONDS)
        try:
            secured = self._context(self._tls).wrap_socket(request, server_side=True) if self._tls else request
        except OSError:  # one that only looks whether the port is open
            request.close()
            return
        super().process_request_thread(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away when they like."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def _context(self, tls: Tls) -> ssl.SSLContext:
        changed = (tls.certificate.stat().st_mtime, tls.key.stat().st_mtime)
        with self._lock:
            if self._loaded is None or self._loaded[0] != changed:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(tls.certificate, tls.key)
                self._loaded = changed, context
            return self._loaded[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """A connection to the node for each one of a client."""
        super().setup()
        door = cast(Door, self.server)
        self._node, self._password = door.node(), door.password

    def finish(self) -> None:
        """Both go."""
        self._node.close()
        with_suppressed_errors(super().finish)

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        major = None
        try:
            body = self._body(headers)
            compatible(headers.get("content-type"), "Content-Type")
            major = compatible(headers.get("accept"), "Accept")
            self._node.authorization = authorization(headers.get("authorization"), self._password)
            method = "GET" if self.command == "HEAD" else self.command
            answer = Elasticsearch(self._node).answer(Request(method, path, query, headers, body))
        except ElasticError as error:
            answer = said(error.body, error.status)
        self._send(answer, major)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (the base class's names)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self._limit(size + sum(map(len, parts)))
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        size = int(headers.get("content-length", 0))
        self._limit(size)
        return self.rfile.read(size)

    def _limit(self, size: int) -> None:
        if size > LARGEST_BODY:
            self.close_connection = True
            raise ElasticError(413, "content_too_long_exception", f"a body of more than {LARGEST_BODY} bytes")

    def _send(self, answer: Answer, major: str | None) -> None:
        kind = answer.content_type
        if "json" in kind:
            kind = f"application/vnd.elasticsearch+json;compatible-with={major}" if major else JSON
        self.send_response(answer.status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        if answer.status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="security", charset="UTF-8"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Elasticsearch does not log requests either."""


def with_suppressed_errors(action: Callable[[], None]) -> None:
    """Do what may fail because the client has gone."""
    try:
        action()
    except (OSError, ValueError):
        return


def is_open(port: int) -> bool:
    """Whether something on loopback listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
