"""Elasticsearch's REST API in front of the node: what is passed on and what is translated; all else is refused."""

import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from lifecycle import check_policy, check_snapshots, for_opensearch
from messages import Answer, ElasticError, Node, Request, said
from remembered import Remembered
from security import Security

VERSION = os.environ.get("ELASTICSEARCH_VERSION", "9.0.0")
_NAME = r"([^/]+)"
_INDEX = r"/(?!_(?!all\b))[^/]+"
_PASSED = (
    ("GET", r"/_cluster/(health|stats|pending_tasks|allocation/explain)(/[^/]+)?"),
    ("GET PUT", r"/_cluster/settings"),
    ("GET", r"/_nodes(/[^/]+)*"),
    ("GET", r"/_cat/(health|nodes|indices|shards|allocation|count|templates|recovery|thread_pool)(/[^/]+)?"),
    ("GET", rf"/_data_stream(/{_NAME}(/_stats)?)?"),
    ("PUT DELETE", rf"/_data_stream/{_NAME}"),
    ("GET", rf"({_INDEX})?/_(stats|mapping|alias|settings)(/[^/]+)*"),
    ("POST PUT", rf"({_INDEX})?/_bulk"),
    ("GET POST", rf"({_INDEX})?/_(search|count|refresh|flush)"),
    ("POST", rf"{_INDEX}/_(doc|rollover|delete_by_query)"),
    ("GET PUT POST DELETE", rf"{_INDEX}/_doc/{_NAME}"),
    ("PUT POST", rf"{_INDEX}/_create/{_NAME}"),
    ("GET DELETE", _INDEX),
    ("GET PUT DELETE", rf"/_ingest/pipeline/{_NAME}"),
    ("GET PUT POST DELETE", rf"/_snapshot/{_NAME}/{_NAME}(/_(status|restore))?"),
    ("GET DELETE", rf"/_snapshot(/{_NAME})?"),
)
_ACKNOWLEDGED = {"acknowledged": True}
_RENAMED = {b'"mapper_parsing_exception"': b'"document_parsing_exception"'}
"""OpenSearch's words for a document that does not fit."""


class Elasticsearch:
    """What one client sees. ``node`` carries that client's name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._remembered = Remembered(node)
        security = Security(node)
        self._translated: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("GET", r"/", self._root),
            ("GET", r"/_license", self._license),
            ("PUT POST", rf"/_(index|component)_template/{_NAME}", self._put_template),
            ("GET", rf"/_(index|component)_template(?:/{_NAME})?", self._get_template),
            ("DELETE", rf"/_(index|component)_template/{_NAME}", self._delete_template),
            ("PUT", rf"({_INDEX})/_settings", self._put_settings),
            ("GET PUT DELETE", rf"/_ilm/policy/{_NAME}", self._lifecycle),
            ("GET PUT DELETE", rf"/_slm/policy/{_NAME}", self._snapshots),
            ("PUT POST", rf"/_snapshot/{_NAME}", self._put_repository),
            ("GET", r"/_security/_authenticate", security.who),
            ("GET PUT POST DELETE", rf"/_security/role/{_NAME}", security.role),
            ("PUT POST", rf"/_security/user/{_NAME}/_password", security.password),
            ("GET PUT POST DELETE", rf"/_security/user/{_NAME}", security.user),
        )

    def answer(self, request: Request) -> Answer:
        """The answer, errors included."""
        try:
            return self._answered(request)
        except ElasticError as error:
            if error.status == 501:
                print(f"refused: {error}", file=sys.stderr, flush=True)
            return said(error.body, error.status)
        except (KeyError, TypeError, AttributeError) as error:
            return said(ElasticError(400, "parse_exception", f"the body has another form: {error!r}").body, 400)

    def _answered(self, request: Request) -> Answer:
        for methods, pattern, handler in self._translated:
            found = re.fullmatch(pattern, request.path)
            if found and request.method in methods.split():
                return handler(request, *(unquote(part) for part in found.groups() if part is not None))
        if any(
            request.method in methods.split() and re.fullmatch(pattern, request.path) for methods, pattern in _PASSED
        ):
            return self._pass(request, request.body)
        raise ElasticError(501, "stand_in_exception", f"the stand-in does not know {request.method} {request.path}")

    def _pass(self, request: Request, body: bytes) -> Answer:
        kind = "application/x-ndjson" if request.path.endswith("/_bulk") else "application/json"
        headers = {"Content-Type": kind} if body else {}
        if coding := request.headers.get("content-encoding"):
            headers["Content-Encoding"] = coding
        answer = self._node.ask(request.method, request.path, body, request.query, headers)
        if answer.ok and not (request.path.endswith("/_bulk") and b'"errors":true' in answer.body[:200]):
            return answer
        return _as_elasticsearch_says(answer, request)

    def _root(self, request: Request) -> Answer:
        answer = self._pass(request, b"")
        if not answer.ok:
            return answer
        about = answer.json()
        version = {"number": VERSION, "build_flavor": "default", "build_type": "docker", "build_snapshot": False}
        kept = {key: about[key] for key in ("name", "cluster_name", "cluster_uuid")}
        lucene = {"lucene_version": about["version"]["lucene_version"]}
        return said({**kept, "version": {**version, **lucene}, "tagline": "You Know, for Search"})

    @staticmethod
    def _license(_request: Request) -> Answer:
        return said({"license": {"status": "active", "type": "basic"}})

    def _put_template(self, request: Request, kind: str, name: str) -> Answer:
        body = request.json()
        template = body.get("template") or {}
        settings, kept = for_opensearch(template.get("settings") or {})
        if "lifecycle" in template or "data_stream_options" in template:
            raise ElasticError(
                501, "stand_in_exception", "the stand-in knows no lifecycle of data streams, only policies"
            )
        if template:
            body = {**body, "template": {**template, "settings": settings}}
        answer = self._pass(request, json.dumps(body).encode())
        if answer.ok:
            self._remembered.put(f"{kind}_template", name, kept)
        return answer

    def _get_template(self, request: Request, kind: str, _name: str = "") -> Answer:
        answer = self._pass(request, b"")
        if not answer.ok:
            return answer
        found = answer.json()
        kept = self._remembered.all(f"{kind}_template")
        for one in found[f"{kind}_templates"]:
            for name, value in kept.get(one["name"], {}).items():
                *above, last = name.split(".")
                inner = one[f"{kind}_template"]["template"].setdefault("settings", {})
                for part in above:
                    inner = inner.setdefault(part, {})
                inner[last] = value
        return said(found)

    def _delete_template(self, request: Request, kind: str, name: str) -> Answer:
        answer = self._pass(request, b"")
        self._remembered.delete(f"{kind}_template", name)
        return answer

    def _put_settings(self, request: Request, _index: str) -> Answer:
        settings, kept = for_opensearch(request.json())
        if kept and not settings:
            return said(_ACKNOWLEDGED)
        return self._pass(request, json.dumps(settings).encode())

    def _lifecycle(self, request: Request, name: str) -> Answer:
        return self._policy(request, "lifecycle policy", name, check_policy)

    def _snapshots(self, request: Request, name: str) -> Answer:
        return self._policy(request, "snapshot policy", name, check_snapshots)

    def _policy(self, request: Request, kind: str, name: str, check: Callable[[dict[str, Any]], None]) -> Answer:
        if request.method == "PUT":
            check(request.json())
            self._remembered.put(kind, name, request.json())
            return said(_ACKNOWLEDGED)
        kept = self._remembered.get(kind, name)
        if kept is None:
            raise ElasticError(404, "resource_not_found_exception", f"{kind} not found: {name}")
        if request.method == "DELETE":
            self._remembered.delete(kind, name)
            return said(_ACKNOWLEDGED)
        return said({name: {"version": 1, "policy": kept.get("policy", kept)}})

    def _put_repository(self, request: Request, name: str) -> Answer:
        body = request.json()
        if body.get("type") == "fs":
            return self._pass(request, request.body)
        if body.get("type") != "gcs" or "bucket" not in body.get("settings", {}):
            raise ElasticError(501, "stand_in_exception", "the stand-in knows repositories of the types fs and gcs")
        self._remembered.put("repository", name, body)
        return said(_ACKNOWLEDGED)


def _as_elasticsearch_says(answer: Answer, request: Request) -> Answer:
    body = answer.body
    for theirs, ours in _RENAMED.items():
        body = body.replace(theirs, ours)
    if answer.status == 401:
        reason = (
            "missing authentication credentials" if "authorization" not in request.headers else "unable to authenticate"
        )
        return said(
            ElasticError(401, "security_exception", f"{reason} for REST request [{request.path}]").body, answer.status
        )
    if body and "json" not in answer.content_type and not answer.ok:
        return said(ElasticError(answer.status, "exception", body.decode(errors="replace")[:500]).body, answer.status)
    return Answer(answer.status, body, answer.content_type)
