"""How a client gets to an address: by which host and port of this machine, and whose certificates it trusts."""

import http.client
import socket
import ssl
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Door:
    """``url`` (no slash at the end), found at ``at`` (host and port) whatever the name in it resolves to.

    ``authority`` is a file with the certificates (PEM) that are trusted; None: those that the machine trusts.
    """

    url: str
    at: tuple[str, int] | None = None
    authority: Path | None = None

    @cached_property
    def opener(self) -> urllib.request.OpenerDirector:
        """What opens requests to ``url``. It follows redirects."""
        return urllib.request.build_opener(*self.handlers())

    def handlers(self) -> tuple[urllib.request.BaseHandler, ...]:
        """What an opener of one's own needs. No proxy sees any of it."""
        return urllib.request.ProxyHandler({}), _Https(self.at, self.tls)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Verifies names and certificates."""
        return ssl.create_default_context(cafile=str(self.authority) if self.authority else None)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, at: tuple[str, int] | None, tls: ssl.SSLContext) -> None:
        super().__init__(context=tls)
        self._at, self._tls = at, tls

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, req)  # type: ignore[arg-type]

    def _connection(self, host: str, **options: Any) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(host, context=self._tls, **options)
        if self._at is not None:
            at = self._at
            # The name stays what the certificate and the Host header are about.
            vars(connection)["_create_connection"] = lambda _, *rest: socket.create_connection(at, *rest)
        return connection
