"""Serves the stand-ins to the engine, all in one process, each on its own port of the loopback address."""

from collections.abc import Collection, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from testbed.engine.gcp import GcpStandIn
from testbed.engine.kubernetes.offline import OfflineKubernetes
from testbed.engine.kubernetes.provider import KubernetesStandIn
from testbed.engine.randomness import RandomStandIn
from testbed.engine.servicer import StandIn
from testbed.engine.tls import TlsStandIn
from testbed.progress import Failure

NAMES: Final = ("kubernetes", "gcp", "random", "tls")
_THREADS: Final = 64
"""Calls that wait for readiness hold a thread each; the engine runs at most a few dozen at once."""
_MESSAGE_BYTES: Final = 400 * 1024 * 1024
"""The engine's own limit for messages to and from providers."""


@dataclass(frozen=True)
class Attached:
    """Stand-ins that are being served."""

    ports: dict[str, int]

    @property
    def debug_providers(self) -> str:
        """The value for ``PULUMI_DEBUG_PROVIDERS``, e.g. ``kubernetes:40001,gcp:40002``."""
        return ",".join(f"{name}:{port}" for name, port in self.ports.items())


@contextmanager
def standins(
    kubeconfig: Path | str | None = None, names: Collection[str] = NAMES, *, offline: bool = False
) -> Iterator[Attached]:
    """Serve the stand-ins ``names`` (default: all) until the block ends; what they then wait for is cancelled.

    ``kubeconfig`` (a path or the content) is for providers that name none themselves; where it is ``None``, the
    environment's ``KUBECONFIG`` is, then the user's own file. ``offline``: the Kubernetes one reaches no cluster.
    """
    servers: list[tuple[StandIn, grpc.Server]] = []
    ports: dict[str, int] = {}
    try:
        for name in names:
            servicer = _servicer(name, kubeconfig, offline)
            server = grpc.server(
                futures.ThreadPoolExecutor(_THREADS, thread_name_prefix=f"{name}-stand-in"),
                options=[
                    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                    ("grpc.max_send_message_length", _MESSAGE_BYTES),
                ],
            )
            provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
            ports[name] = server.add_insecure_port("127.0.0.1:0")
            server.start()
            servers.append((servicer, server))
        yield Attached(ports)
    finally:
        for servicer, _ in servers:
            servicer.close()
        for stopping in [server.stop(grace=5) for _, server in servers]:
            stopping.wait()


def _servicer(name: str, kubeconfig: Path | str | None, offline: bool) -> StandIn:
    match name:
        case "kubernetes":
            if offline:
                return OfflineKubernetes()
            return KubernetesStandIn(str(kubeconfig) if kubeconfig is not None else None)
        case "gcp":
            return GcpStandIn()
        case "random":
            return RandomStandIn()
        case "tls":
            return TlsStandIn()
        case _:
            raise Failure(f"there is no stand-in for the provider {name!r}. Mend: choose among {', '.join(NAMES)}.")
