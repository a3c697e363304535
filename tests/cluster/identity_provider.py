"""A real OpenID provider in the cluster's network, and what a browser does when somebody signs in by it."""

import http.client
import http.cookiejar
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ops.door import Door
from testbed.cluster.layout import NODE_IP
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

PORT = 9400
ISSUER = f"http://{NODE_IP}:{PORT}"
Claims = Mapping[str, Any]


@dataclass(frozen=True)
class Provider:
    """The provider, on the cluster's node; ``at`` is where this machine finds it."""

    at: tuple[str, int]


@contextmanager
def identity_provider(platform: Platform, users: Mapping[str, Claims]) -> Iterator[Provider]:
    """An OpenID provider that knows ``users``, each with the claims of its ID token, for as long as the block lasts."""
    known = [f"--user-claims={json.dumps({'sub': sub, **claims})}" for sub, claims in users.items()]
    command = [sys.executable, "-m", "oidc_provider_mock", f"--host={NODE_IP}", f"--port={PORT}", *known]
    process = subprocess.Popen(
        platform.cluster.exec_in_namespace(command), start_new_session=True, stdout=subprocess.DEVNULL, stderr=None
    )
    try:
        provider = Provider(("127.0.0.1", platform.cluster.forward(NODE_IP, PORT)))
        wait_until(lambda: _answers(provider), 60, "the OpenID provider answers")
        yield provider
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(provider: Provider) -> bool:
    try:
        connection = http.client.HTTPConnection(*provider.at, timeout=5)
        connection.request("GET", "/.well-known/openid-configuration", headers={"Host": f"{NODE_IP}:{PORT}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


class Visitor:
    """What a browser does: follows redirects between Airflow and the provider, and keeps the cookies of both."""

    def __init__(self, door: Door, provider: Provider) -> None:
        self.door = door
        self.cookies = http.cookiejar.CookieJar()
        handlers = (*door.handlers(), _Http(provider.at), urllib.request.HTTPCookieProcessor(self.cookies))
        self._opener = urllib.request.build_opener(*handlers)

    def sign_in(self, sub: str) -> str:
        """Sign in to Airflow as the provider's user ``sub``; returns the address of the page where that ends."""
        return self.come_by(f"/auth/login/oidc?next={self.door.url}/", sub)

    def come_by(self, path: str, sub: str) -> str:
        """Go to ``path``, which leads to the provider, and be ``sub`` there; returns the address where that ends."""
        with self._opener.open(self.door.url + path, timeout=60) as asked:
            address = asked.geturl()
        assert address.startswith(f"{ISSUER}/oauth2/authorize"), address
        form = urllib.parse.urlencode({"sub": sub}).encode()
        with self._opener.open(address, data=form, timeout=60) as ended:
            return str(ended.geturl())

    def read(self, path: str) -> tuple[int, str]:
        """Status and text of the answer to somebody with these cookies."""
        try:
            with self._opener.open(self.door.url + path, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    @property
    def token(self) -> str | None:
        """The token that the UI uses, which Airflow hands out as a cookie."""
        return next((cookie.value for cookie in self.cookies if cookie.name == "_token"), None)


class _Http(urllib.request.HTTPHandler):
    """Finds the provider where it is, whatever the address says."""

    def __init__(self, at: tuple[str, int]) -> None:
        super().__init__()
        self._at = at

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)  # type: ignore[arg-type]

    def _connection(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host, **options)
        at = self._at
        vars(connection)["_create_connection"] = lambda _, *rest: socket.create_connection(at, *rest)
        return connection
