"""Messages from a stand-in to the engine, shown beside the resource that they are about."""

import threading

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class EngineLog:
    """The engine's log. ``status`` lines replace one another, ``info`` and ``warning`` stay in the output.

    Best effort: a message that can't be delivered must never fail the operation that it is about.
    """

    def __init__(self, address: str) -> None:
        """``address`` is ``host:port`` of the engine, empty where it gave none (then nothing is sent)."""
        self._channel = grpc.insecure_channel(address) if address else None
        self._stub = engine_pb2_grpc.EngineStub(self._channel) if self._channel else None
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    def status(self, urn: str, message: str) -> None:
        """Replace the transient line of ``urn`` (empty: clear it); what says nothing new is not sent."""
        with self._lock:
            if self._last.get(urn, "") == message:
                return
            self._last[urn] = message
        self._send(urn, message, engine_pb2.INFO, ephemeral=True)

    def info(self, urn: str, message: str) -> None:
        """Say something that stays."""
        self._send(urn, message, engine_pb2.INFO, ephemeral=False)

    def warning(self, urn: str, message: str) -> None:
        """Warn of something that does not stop the operation."""
        self._send(urn, message, engine_pb2.WARNING, ephemeral=False)

    def close(self) -> None:
        """Let go of the connection."""
        if self._channel:
            self._channel.close()

    def _send(self, urn: str, message: str, severity: engine_pb2.LogSeverity.ValueType, ephemeral: bool) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=message, urn=urn, ephemeral=ephemeral)
        try:
            self._stub.Log(request, timeout=5)
        except grpc.RpcError:
            self._stub = None
