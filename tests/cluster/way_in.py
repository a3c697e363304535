"""Comes in as people and programs do: by the way in, and past it."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

from kubernetes import client

from ops.door import Door
from ops.reach import CONTROLLER, enter
from ops.target import target
from tests.cluster.looks import wait_until
from tests.cluster.platform import STACK, Platform

NAMESPACE = "ingress"


@dataclass(frozen=True)
class Answer:
    """What a request got."""

    status: int
    headers: Message
    text: str

    @property
    def cookies(self) -> str:
        """What it asks the browser to keep, a line each."""
        return "\n".join(self.headers.get_all("Set-Cookie", []))


def door_of(platform: Platform, airflow: str = "main") -> Door:
    """The door that the way in is."""
    with enter(target(STACK, platform.progress, platform.stacks), airflow) as door:
        assert door.authority is not None
        return door


def ask(door: Door, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """The answer to a request, redirects not followed, whatever its status."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
            return None

    request = urllib.request.Request(door.url + path, data=body, method=method, headers=headers)
    opener = urllib.request.build_opener(Stay, *door.handlers())
    try:
        with opener.open(request, timeout=30) as found:
            return Answer(found.status, found.headers, found.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read().decode(errors="replace"))


def token_of(door: Door, login: Mapping[str, str]) -> str:
    """The token that a user name and a password get."""
    body = json.dumps({"username": login["username"], "password": login["password"]}).encode()
    answer = ask(door, "/auth/token", "POST", body, **{"Content-Type": "application/json"})
    return str(json.loads(answer.text)["access_token"])


def handshake(door: Door, host: str, context: ssl.SSLContext) -> str | None:
    """The protocol of a TLS connection to ``host`` at the door. Raises ssl.SSLError where it is refused."""
    assert door.at is not None
    with (
        socket.create_connection(door.at, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        return tls.version()


def plain_http(platform: Platform, host: str, path: str) -> tuple[int, str]:
    """Status and ``Location`` of the answer on the port that is not for https."""
    port = platform.cluster.forward(CONTROLLER, platform.target().settings.ingress.http_port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", "")
    finally:
        connection.close()


@contextmanager
def stranger(platform: Platform) -> Iterator[str]:
    """A namespace that is none of the platform's."""
    core = client.CoreV1Api(platform.api_client())
    # A name of its own each time: one that goes is there for a while.
    name = str(core.create_namespace({"metadata": {"generateName": "stranger-"}}).metadata.name)
    try:
        # Pods need the account, which a controller makes.
        wait_until(lambda: bool(core.list_namespaced_service_account(name).items), 30, "a service account")
        yield name
    finally:
        core.delete_namespace(name)


def access_log(platform: Platform) -> str:
    """What all controllers have said."""
    core = client.CoreV1Api(platform.api_client())
    pods = core.list_namespaced_pod(NAMESPACE).items
    return "\n".join(
        str(core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE, container="controller")) for pod in pods
    )
