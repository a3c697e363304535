"""A request to Elasticsearch, its answer, and the node behind. Standard library only: it runs in the image."""

import base64
import hmac
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JSON = "application/json"
SUPERUSER = "elastic"
NODE_PASSWORD = "the-node-behind-the-stand-in"  # noqa: S105 (known to all: the node listens on loopback of its pod)
"""The superuser's at the node. At the door it has the one that the pod was given, as Elasticsearch's own has."""
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Request:
    """``path`` as it was sent, still quoted; ``headers`` by lower-case names."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body. Refuses what is no JSON object."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError as error:
            raise ElasticError(400, "parse_exception", f"the body is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise ElasticError(400, "parse_exception", "the body is no JSON object")
        return found


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    content_type: str = JSON

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status < http.client.BAD_REQUEST

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class ElasticError(Exception):
    """An error as Elasticsearch says one."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        cause = {"type": kind, "reason": reason}
        self.body = {"error": {"root_cause": [cause], **cause}, "status": status}


def said(value: Any, status: int = 200) -> Answer:
    """``value`` as JSON."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode())


class Node:
    """A connection to the node, kept open; ``authorization`` is the header that its requests carry."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        self.authorization: str | None = None

    def ask(
        self, method: str, path: str, body: Any = b"", query: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """What the node answers. ``body`` is bytes, or anything else to be sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": JSON} if data else {}
        sent |= headers or {}
        if self.authorization:
            sent["Authorization"] = self.authorization
        target = f"{path}?{query}" if query else path
        try:
            self._connection.request(method, target, data or None, sent)
            found = self._connection.getresponse()
            return Answer(found.status, found.read(), found.headers.get("Content-Type", JSON))
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ElasticError(503, "node_disconnected_exception", f"the node does not answer: {error!r}") from None

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def authorization(header: str | None, password: str) -> str | None:
    """What the node is to be told of who asks. Refuses a wrong password of the superuser, and all but Basic."""
    if header is None:
        return None
    scheme, _, coded = header.partition(" ")
    try:
        user, _, given = base64.b64decode(coded, validate=True).decode().partition(":")
    except ValueError:
        user, given = "", ""
    if scheme.lower() != "basic" or not user:
        raise not_signed_in("the stand-in knows users and passwords only")
    if user != SUPERUSER:
        return header
    if not hmac.compare_digest(given.encode(), password.encode()):
        raise not_signed_in(f"unable to authenticate user [{user}] for REST request")
    return "Basic " + base64.b64encode(f"{SUPERUSER}:{NODE_PASSWORD}".encode()).decode()


def not_signed_in(reason: str) -> ElasticError:
    """401, in Elasticsearch's words."""
    return ElasticError(401, "security_exception", reason)
