"""Runs a command in a pod while bytes, any amount of them, go in and come out: what `kubectl exec -i` does.

The Kubernetes client's own reader keeps everything that it has read, and reads on for as long as more is there: a
database's dump would fill the memory. So the frames are read here, one at a time.
"""

import json
import select
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from kubernetes import client
from kubernetes.stream import stream
from websocket import ABNF, WebSocketException

from testbed.progress import Failure

_STDIN, _STDOUT, _STDERR, _STATUS = range(4)  # channels of the protocol v4.channel.k8s.io; v5 adds one that we ignore
_CHUNK = 64 * 1024  # bytes
_PING_SECONDS = 20  # load balancers end connections on which nothing moves
_LOOK_SECONDS = 0.5
_GOODBYE_SECONDS = 5
_DEAD_SECONDS = 60  # within a message
_STALLED_SECONDS = 600  # nothing taken for so long: whoever read it is gone
_KEPT = 8 * 1024  # bytes of standard error


@dataclass(frozen=True)
class Ended:
    """A command's exit code (-1: it has none, because it was killed or never began), and the end of what it said."""

    code: int
    said: str


def run_in_pod(
    core: client.CoreV1Api,
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    send: BinaryIO | None = None,
    receive: Callable[[bytes], object] = lambda _: None,
) -> Ended:
    """Run ``command`` in the first container of ``pod``.

    ``send`` becomes its standard input, which never ends: the protocol's version 4 can't say so. The command has to
    know how much to read, and to read it all, even after it has failed: behind input that nobody takes, its own exit
    code does not come through (seen with Kubernetes 1.34). ``receive`` is given its standard output piece by piece.
    Raises Failure where the connection breaks off or stalls, and the client's ApiException where there is none.
    """
    connection: Any = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        command=list(command),
        stdin=send is not None,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
        binary=True,
    )
    conversation = _Conversation(connection.sock, receive)
    try:
        while send and (chunk := send.read(_CHUNK)) and conversation.send(chunk):
            pass
        return conversation.end()
    except (OSError, WebSocketException) as error:
        raise Failure(f"the connection to pod {namespace}/{pod} broke off: {type(error).__name__}") from None
    finally:
        connection.close()


class _Conversation:
    def __init__(self, socket: Any, receive: Callable[[bytes], object]) -> None:
        self._socket = socket
        self._receive = receive
        self._message = b""
        self._said = b""
        self._status = b""
        self._pings: list[bytes] = []
        self._over = False
        socket.sock.settimeout(_DEAD_SECONDS)

    def send(self, chunk: bytes) -> bool:
        """False if the command has ended before it read all."""
        while self._pings:
            self._socket.pong(self._pings.pop(0))  # not in the middle of what follows
        stalled = time.monotonic() + _STALLED_SECONDS
        rest = memoryview(ABNF.create_frame(bytes([_STDIN]) + chunk, ABNF.OPCODE_BINARY).format())
        while rest:
            while not self._over and self._readable(0):
                self._take()
            if self._over or self._status:
                return False
            sent = self._send_some(rest)
            if not sent and time.monotonic() > stalled:
                raise TimeoutError
            rest = rest[sent:]
        return True

    def end(self) -> Ended:
        """Read to the end. An exit code may overtake what was still under way: the server's goodbye is awaited, too."""
        while not self._over:
            if self._readable(_GOODBYE_SECONDS if self._status else _PING_SECONDS):
                self._take()
            elif self._status:
                break
            else:
                self._socket.pong(self._pings.pop(0)) if self._pings else self._socket.ping()
        said = self._said.decode(errors="replace").strip()
        status = json.loads(self._status or b'{"message": "it ended without an exit code"}')
        if status.get("status") == "Success":
            return Ended(0, said)
        causes = (status.get("details") or {}).get("causes") or []
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        return Ended(int(codes[0]), said) if codes else Ended(-1, f"{said}\n{status.get('message', '')}".strip())

    def _send_some(self, data: memoryview) -> int:
        self._socket.sock.settimeout(_LOOK_SECONDS)
        try:
            return int(self._socket.sock.send(data))
        except TimeoutError:
            return 0
        finally:
            self._socket.sock.settimeout(_DEAD_SECONDS)

    def _readable(self, seconds: float) -> bool:
        inner = self._socket.sock
        if isinstance(inner, ssl.SSLSocket) and inner.pending():
            return True
        return bool(select.select([inner], [], [], seconds)[0])

    def _take(self) -> None:
        try:
            frame = self._socket.recv_frame()
        except (OSError, WebSocketException):
            if not self._status:
                raise
            self._over = True
            return
        if frame.opcode == ABNF.OPCODE_CLOSE:
            self._over = True
        elif frame.opcode == ABNF.OPCODE_PING:
            self._pings.append(frame.data)
        elif frame.opcode != ABNF.OPCODE_PONG:
            self._message += frame.data
            if frame.fin:
                message, self._message = self._message, b""
                self._hear(message)

    def _hear(self, message: bytes) -> None:
        channel, content = message[:1], message[1:]
        if channel == bytes([_STDOUT]) and content:
            self._receive(content)
        elif channel == bytes([_STDERR]):
            self._said = (self._said + content)[-_KEPT:]
        elif channel == bytes([_STATUS]):
            self._status += content
