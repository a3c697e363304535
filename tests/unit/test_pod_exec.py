"""A command in a pod, with the API server's end of the connection on a socket of this process."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes import client
from websocket import ABNF, WebSocket

from ops import pod_exec
from ops.pod_exec import Ended, run_in_pod
from testbed.progress import Failure


class ApiServer:
    """The far end of an exec connection, on a socket of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Callable[["ApiServer"], None]) -> None:
        near, self._far = socket.socketpair()
        self.websocket = WebSocket()
        self.websocket.sock = near
        self.websocket.connected = True
        self.received = b""
        connection = SimpleNamespace(sock=self.websocket, close=near.close)
        monkeypatch.setattr(pod_exec, "stream", lambda *_, **__: connection)
        self._thread = threading.Thread(target=answer, args=(self,), daemon=True)
        self._thread.start()

    def say(self, channel: int, content: bytes) -> None:
        self._frame(bytes([channel]) + content, ABNF.OPCODE_BINARY)

    def exit(self, code: int) -> None:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        status: dict[str, Any] = {"status": "Failure", "details": {"causes": causes}} if code else {"status": "Success"}
        self.say(3, json.dumps(status).encode())

    def close(self) -> None:
        self._frame(b"\x03\xe8", ABNF.OPCODE_CLOSE)

    def hang_up(self) -> None:
        self._far.close()

    def read_input(self, size: int) -> bytes:
        """So much standard input, from as many messages as it takes."""
        reader = WebSocket()
        reader.sock, reader.connected = self._far, True
        content = b""
        while len(content) < size:
            content += cast(bytes, reader.recv_frame().data)[1:]
        return content

    def _frame(self, content: bytes, opcode: int) -> None:
        frame = ABNF(1, 0, 0, 0, opcode, 0, content)
        self._far.sendall(frame.format())


def run(send: Any = None) -> tuple[Ended, bytes]:
    received = bytearray()
    ended = run_in_pod(client.CoreV1Api(), "n", "p", ["x"], send=send, receive=received.extend)
    return ended, bytes(received)


def test_bytes_of_every_value_come_through_and_the_exit_code_may_overtake_them(monkeypatch: pytest.MonkeyPatch) -> None:
    every = bytes(range(256)) * 4

    def answer(server: ApiServer) -> None:
        server.say(1, every[:100])
        server.say(2, "mühsam\n".encode())
        server.exit(7)
        server.say(1, every[100:])
        server.close()

    ApiServer(monkeypatch, answer)
    assert run() == (Ended(7, "mühsam"), every)


def test_what_is_sent_arrives_whole_while_the_command_talks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192  # 2 MiB, more than a socket holds
    (tmp_path / "x").write_bytes(content)
    arrived: list[bytes] = []

    def answer(server: ApiServer) -> None:
        server.say(1, b"began")
        arrived.append(server.read_input(len(content)))
        server.exit(0)
        server.close()

    ApiServer(monkeypatch, answer)
    with (tmp_path / "x").open("rb") as file:
        assert run(file) == (Ended(0, ""), b"began")
    assert arrived == [content]


def test_a_connection_that_breaks_off_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(server: ApiServer) -> None:
        server.say(1, b"half")
        server.hang_up()

    ApiServer(monkeypatch, answer)
    with pytest.raises(Failure, match="the connection to pod n/p broke off"):
        run()


def test_a_command_that_was_killed_has_no_exit_code_and_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    ApiServer(monkeypatch, ApiServer.close)
    assert run() == (Ended(-1, "it ended without an exit code"), b"")
