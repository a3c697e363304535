"""Looks at objects through the Kubernetes API, and keeps looking. Standard library only: it runs in the image."""

import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
WATCH_SECONDS = 300
Object = dict[str, Any]


class Kube:
    """The API as the pod's own service account may use it."""

    def __init__(self) -> None:
        self._host = os.environ["KUBERNETES_SERVICE_HOST"]
        self._port = int(os.environ["KUBERNETES_SERVICE_PORT"])
        self._tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))

    def ask(self, method: str, path: str, body: Object | None = None) -> Object:
        """The JSON that the API answers. Raises OSError where it refuses."""
        connection, answer = self._open(method, path, body)
        try:
            return json.loads(answer.read())
        finally:
            connection.close()

    def follow(self, path: str, keep: "Kept") -> None:
        """Keep ``keep`` as the list at ``path`` is, for ever; a refusal is said and tried again."""
        while True:
            try:
                found = self.ask("GET", path)
                keep.replace(found["items"])
                self._watch(path, found["metadata"]["resourceVersion"], keep)
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                print(json.dumps({"level": "error", "msg": f"{path}: {error}"}), flush=True)
                time.sleep(1)

    def _watch(self, path: str, version: str, keep: "Kept") -> None:
        sign = "&" if "?" in path else "?"
        query = f"{path}{sign}watch=1&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}"
        connection, answer = self._open("GET", query)
        try:
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return  # too old a version: list again
                keep.change(event["type"], event["object"])
        finally:
            connection.close()

    def _open(
        self, method: str, path: str, body: Object | None = None
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=WATCH_SECONDS + 30, context=self._tls)
        headers = {
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        if answer.status >= http.client.BAD_REQUEST:
            text = answer.read(300).decode(errors="replace")
            connection.close()
            raise OSError(f"{answer.status} {text}")
        return connection, answer


class Kept:
    """Objects of one kind by namespace and name, as they are now. ``changed`` is called after every change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], Object] = {}
        self.known = threading.Event()
        """Set once the first list is in."""

    def replace(self, items: list[Object]) -> None:
        """Have these and no others."""
        with self._lock:
            self._objects = {_key(item): item for item in items}
        self.known.set()
        self._changed()

    def change(self, kind: str, item: Object) -> None:
        """Take one event of a watch."""
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(_key(item), None)
            elif kind in {"ADDED", "MODIFIED"}:
                self._objects[_key(item)] = item
        self._changed()

    def all(self) -> list[Object]:
        """Every object, in the order of their names."""
        with self._lock:
            return [self._objects[key] for key in sorted(self._objects)]


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
