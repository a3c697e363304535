"""Every event of a task's log as one JSON line on the container's standard output, at once.

Airflow's own Elasticsearch provider prints the log when a task has ended: a pod that is killed leaves nothing.
"""

import contextlib
import fcntl
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from airflow_platform_logs.identity import Try, try_of_file

STANDARD_OUTPUT = 1
MOST_BYTES = 1024 * 1024
"""Of one event; what is longer loses its end, and the line says how much."""
OWN = (*Try._fields, "offset")


class StdoutLines:
    """A structlog processor for Airflow's logs, in the process that supervises a task and in the triggerer.

    Events for a task's log file are printed with ``log_id``, ``dag_id`` and ``task_id``, and with ``offset``:
    microseconds since 1970, and more than any before from this process, so that lines of a task that waited elsewhere
    in between sort behind the earlier ones. Other events pass, but for those that the supervisor prints a second time
    by itself: these are dropped.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder)
        self._given = folder.rstrip(os.sep)
        self._last = 0
        self._lock = threading.Lock()
        self._printed = threading.local()
        self._turns = _Turns()

    def __call__(self, logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        file = getattr(logger, "_file", None)
        tried = try_of_file(file, self._given) or try_of_file(file, self._folder)
        seen = (event.get("event"), event.get("logger"), event.get("level"))
        if tried is None:
            echo, self._printed.event = getattr(self._printed, "event", None), None
            if echo == seen and _is_output(file):
                raise structlog.DropEvent
            return event
        self._print(tried, event)
        self._printed.event = seen
        return event

    def _print(self, tried: Try, event: dict[str, Any]) -> None:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            # A log that can't be printed must not end the task; the file still gets the event.
            with contextlib.suppress(OSError):
                self._turns.write(line(tried, self._last, event))


def line(tried: Try, offset: int, event: dict[str, Any]) -> bytes:
    """One line of the log, which ends in ``log_id`` and ``offset``: shippers know it by that. Names of the author's
    that are the platform's get an underscore."""
    said = event.get("event", "")
    text = said if isinstance(said, str) else str(said)
    first = {"timestamp": event.get("timestamp"), "level": event.get("level"), "event": text}
    rest = {f"{key}_" if key in OWN else key: value for key, value in event.items() if key not in first}
    own = {"dag_id": tried.dag_id, "task_id": tried.task_id, "log_id": tried.log_id, "offset": offset}
    made = _encoded({**first, **rest, **own})
    if len(made) <= MOST_BYTES:
        return made + b"\n"
    kept = text.encode("utf-8", errors="replace")[: MOST_BYTES // 8].decode("utf-8", errors="ignore")
    cut = {"logger": event.get("logger"), "cut_bytes": len(made) - len(kept)}
    return _encoded({**first, "event": f"{kept} [cut: the line was too long]", **cut, **own}) + b"\n"


def _encoded(fields: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(fields, enc_hook=repr)
    except UnicodeEncodeError:  # lone surrogates, which have no UTF-8
        return msgspec.json.encode(msgspec.json.decode(_ascii(fields)), enc_hook=repr)


def _ascii(fields: dict[str, Any]) -> bytes:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", errors="replace").decode("utf-8")
        if isinstance(value, dict):
            return {clean(str(key)): clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [clean(inner) for inner in value]
        return value

    return msgspec.json.encode(clean(fields), enc_hook=lambda other: clean(repr(other)))


def _is_output(file: object) -> bool:
    try:
        return file is not None and file.fileno() == STANDARD_OUTPUT  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


class _Turns:
    """Writes whole lines: where many tasks share one standard output, a pipe keeps apart 4 KiB at most by itself."""

    def __init__(self) -> None:
        self._path = Path(tempfile.gettempdir()) / f".airflow-platform-logs-{os.getuid()}.lock"
        self._opened: tuple[int, int] | None = None

    def write(self, data: bytes) -> None:
        fcntl.flock(descriptor := self._descriptor(), fcntl.LOCK_EX)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(STANDARD_OUTPUT, rest) :]
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _descriptor(self) -> int:
        # Of each process its own: forks share a descriptor's lock, and would not wait for one another.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._opened[1]
