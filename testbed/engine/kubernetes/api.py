"""A Kubernetes API server: few calls, their errors as Python errors, connections kept open."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3
from kubernetes.client import ApiClient, Configuration

from testbed.engine.kubernetes.objects import gvk, name_of, namespace_of
from testbed.engine.values import Properties
from testbed.progress import Failure

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0
_ATTEMPTS: Final = 3


class ApiError(Exception):
    """The server's refusal of one request: HTTP ``code``, Kubernetes' ``reason`` and ``message``."""

    def __init__(self, code: int, reason: str, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes


class NoSuchKindError(ApiError):
    """The server serves no such apiVersion and kind."""


class UnreachableError(Failure):
    """The server can't be reached or does not let us in."""


@dataclass(frozen=True)
class Resource:
    """How the server serves a kind."""

    plural: str
    namespaced: bool


class Api:
    """One server. Thread-safe; kinds are discovered per group once."""

    def __init__(self, configuration: Configuration, source: str) -> None:
        """``source`` says where the configuration came from, for messages."""
        configuration.connection_pool_maxsize = 64
        self.address = str(configuration.host)
        self.source = source
        self._client = ApiClient(configuration)
        self._pool: urllib3.PoolManager = self._client.rest_client.pool_manager
        self._kinds: dict[str, dict[str, Resource]] = {}
        self._lock = threading.Lock()

    # -- what there is

    def check(self) -> None:
        """Ask the server for its core kinds. Raises ``UnreachableError`` within 10 s with the address and the mend."""
        try:
            self._discover("v1", attempts=1, read=CONNECT_SECONDS)
        except ApiError as error:
            raise self._unreachable(f"it answered {error.code} {error.reason}: {error.message}") from error

    def resource(self, api_version: str, kind: str) -> Resource:
        """How ``kind`` is served; looks again when it is not known yet (its definition may be new)."""
        with self._lock:
            found = self._kinds.get(api_version, {}).get(kind)
        if found is None:
            self._discover(api_version)
            found = self._kinds[api_version].get(kind)
        if found is None:
            raise NoSuchKindError(404, "NoSuchKind", f"the cluster serves no {api_version} {kind}")
        return found

    def _discover(self, api_version: str, attempts: int = _ATTEMPTS, read: float = READ_SECONDS) -> None:
        path = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        try:
            listed = self.call("GET", path, attempts=attempts, read=read)
        except ApiError as error:
            if error.code != 404:
                raise
            raise NoSuchKindError(404, "NoSuchKind", f"the cluster serves no {api_version}") from error
        kinds = {
            entry["kind"]: Resource(entry["name"], entry["namespaced"])
            for entry in listed.get("resources", [])
            if "/" not in entry["name"]
        }
        with self._lock:
            self._kinds[api_version] = kinds

    def path(self, obj: Properties) -> str:
        """The path of ``obj``."""
        return f"{self.collection(str(obj['apiVersion']), str(obj['kind']), namespace_of(obj))}/{quote(name_of(obj))}"

    def collection(self, api_version: str, kind: str, namespace: str) -> str:
        """The path of all objects of a kind, in one namespace where the kind has any."""
        resource = self.resource(api_version, kind)
        base = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        scope = f"/namespaces/{quote(namespace or 'default')}" if resource.namespaced else ""
        return f"{base}{scope}/{resource.plural}"

    # -- objects

    def get(self, obj: Properties) -> Properties | None:
        """The live object with the apiVersion, kind and name of ``obj``, or ``None``."""
        try:
            return self.call("GET", self.path(obj))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(
        self, api_version: str, kind: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> list[Properties]:
        """Objects in a namespace, narrowed by selectors."""
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        found = self.call("GET", self.collection(api_version, kind, namespace), query)
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found.get("items") or []]

    def apply(self, obj: Properties, manager: str, *, force: bool, dry_run: bool) -> Properties:
        """Server-side apply; unknown fields are refused by the server."""
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        body = json.dumps(obj).encode()  # JSON is YAML
        return self.call("PATCH", self.path(obj), query, body, "application/apply-patch+yaml")

    def delete(self, obj: Properties, propagation: str, uid: str = "") -> None:
        """Ask for deletion; that it is gone already is success. ``uid`` guards against deleting a successor."""
        options: Properties = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self.call("DELETE", self.path(obj), body=json.dumps(options).encode())
        except ApiError as error:
            if error.code != 404 and not (uid and error.code == 409):
                raise

    def logs(self, namespace: str, pod: str, container: str, *, previous: bool, lines: int) -> str:
        """The last ``lines`` of a container's log; empty where there is none to be had."""
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log"
        try:
            return self._send("GET", path, query, None, "", 1, 10).decode(errors="replace")
        except (ApiError, UnreachableError):
            return ""

    # -- requests

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        *,
        attempts: int = _ATTEMPTS,
        read: float = READ_SECONDS,
    ) -> Properties:
        """One request with a JSON answer. Raises ``ApiError`` when refused, ``UnreachableError`` without an answer."""
        answer: Properties = json.loads(self._send(method, path, query or {}, body, content_type, attempts, read))
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        attempts: int,
        read: float,
    ) -> bytes:
        headers = {"Accept": "application/json, */*", "User-Agent": "airflow-platform-testbed"}
        if body is not None:
            headers["Content-Type"] = content_type
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self.address}{path}" + (f"?{urlencode(query)}" if query else "")
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read)
        for attempt in range(1, attempts + 1):
            try:
                answer = self._pool.request(method, url, body=body, headers=headers, timeout=timeout, retries=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if attempt < attempts and not isinstance(error, urllib3.exceptions.SSLError):
                    time.sleep(attempt)
                    continue
                raise self._unreachable(_reason(error)) from error
            if answer.status < 400:
                return bytes(answer.data)
            if answer.status in (429, 503) and attempt < attempts:
                time.sleep(attempt)
                continue
            if answer.status == 401:
                raise self._unreachable("it does not accept the credentials (401)")
            raise _refusal(answer.status, answer.data)
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"the Kubernetes cluster at {self.address} can't be used: {why}.\n"
            f"Mend: start it, or correct the kubeconfig ({self.source}): with it `kubectl version` must answer."
        )


def _refusal(code: int, data: bytes) -> ApiError:
    try:
        status: Any = json.loads(data)
        details = status.get("details") or {}
        causes = tuple(str(cause.get("message")) for cause in details.get("causes") or [])
        return ApiError(code, str(status.get("reason") or code), str(status.get("message")), causes)
    except (ValueError, AttributeError):
        return ApiError(code, str(code), data.decode(errors="replace")[:500])


def _reason(error: Exception) -> str:
    text = str(error)
    for sign, meaning in (
        ("Connection refused", "nothing listens there (connection refused)"),
        ("Name or service not known", "its name is not known"),
        ("Temporary failure in name resolution", "its name can't be looked up"),
        ("No route to host", "there is no route to it"),
        ("Network is unreachable", "the network is unreachable"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by the CA in the kubeconfig"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
    ):
        if sign in text:
            return meaning
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "it does not answer in time"
    return text.rsplit(": ", 1)[-1] or type(error).__name__


def same_object(first: Properties, second: Properties) -> bool:
    """Whether both are the same kind and carry the same uid."""
    uid = (first.get("metadata") or {}).get("uid")
    return gvk(first) == gvk(second) and uid == (second.get("metadata") or {}).get("uid")
