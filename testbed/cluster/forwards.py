"""Ports of 127.0.0.1 that lead to addresses in the cluster. They are remembered and come back with the cluster."""

import json
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.cluster import processes
from testbed.cluster.layout import Layout
from testbed.cluster.processes import Component
from testbed.progress import Failure

_FORWARDER = Path(__file__).with_name("forwarder.py")


@dataclass(frozen=True)
class Forward:
    """``local_port`` of 127.0.0.1 leads to ``host``:``port``, where ``host`` is what the caller named."""

    host: str
    port: int
    local_port: int

    @property
    def name(self) -> str:
        return f"forward-{self.host}-{self.port}"


def ensure(layout: Layout, host: str, address: str, port: int, local_port: int | None = None) -> int:
    """Forward a port of 127.0.0.1 to ``address``:``port``; ``host`` is the name under which it is remembered.

    Without ``local_port`` it is the port of the last time, or a free one. Refuses a ``local_port`` in use.
    """
    known = next((one for one in remembered(layout) if (one.host, one.port) == (host, port)), None)
    forward = Forward(host, port, local_port or (known.local_port if known else 0))
    component = Component(forward.name, [sys.executable, _FORWARDER, address, str(port)])
    if forward == known and processes.is_current(layout, component):
        return forward.local_port
    processes.stop(layout, [forward.name])
    with _listen(forward, insist=local_port is not None) as listener:
        forward = Forward(host, port, listener.getsockname()[1])
        processes.start(layout, component, listener)
    layout.forwards.mkdir(parents=True, exist_ok=True)
    (layout.forwards / f"{forward.name}.json").write_text(json.dumps(asdict(forward)))
    return forward.local_port


def remembered(layout: Layout) -> list[Forward]:
    return [Forward(**json.loads(file.read_text())) for file in sorted(layout.forwards.glob("*.json"))]


def forget(layout: Layout, forward: Forward) -> None:
    """End the forward; it no longer comes back with the cluster."""
    processes.stop(layout, [forward.name])
    (layout.forwards / f"{forward.name}.json").unlink(missing_ok=True)


def _listen(forward: Forward, insist: bool) -> socket.socket:
    """A listening socket on the forward's local port, or, unless ``insist``, on a free one if that is in use."""
    try:
        return socket.create_server(("127.0.0.1", forward.local_port), backlog=128)
    except OSError as error:
        if insist:
            raise Failure(
                f"port {forward.local_port} of 127.0.0.1 cannot lead to {forward.host}:{forward.port}: {error}.\n"
                "Mend: end the program that holds the port (`ss -ltnp`), or choose another port."
            ) from error
        return socket.create_server(("127.0.0.1", 0), backlog=128)
