"""Lines of containers' log files: over rotations, with their parts joined, and how far each file is dealt with."""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

AT_ONCE = 4 * 2**20
"""Bytes that are read of a file in one turn."""
GONE_SECONDS = 60
"""A file that was rotated or deleted is read on for so long."""
_NAME = re.compile(r"(?P<pod>[^_]+)_airflow-(?P<team>[^_]+)_(?P<container>[^_]+)-[^-]+\.log")
"""The kubelet's: <pod>_<namespace>_<container>-<id>.log."""


@dataclass(frozen=True)
class Line:
    """What a container printed: ``time`` and ``stream`` are the runtime's words, the rest is of the file's name."""

    time: str
    stream: str
    text: str
    pod: str
    team: str
    container: str


@dataclass
class Tail:
    """One file, known by its inode: a rotated one keeps it. ``done``: behind the last line that was dealt with."""

    name: str
    file: BinaryIO
    done: int
    read: int = 0
    gone_at: float | None = None
    _parts: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    """Of each stream what was read of a line that goes on, and where it begins."""

    def __post_init__(self) -> None:
        self.read = self.done

    @property
    def settled(self) -> int:
        """Where a reader that starts anew begins: before every line that is not whole yet."""
        return min((start for start, _ in self._parts.values()), default=self.read)

    @property
    def at_end(self) -> bool:
        """Whether all there is was read."""
        return os.fstat(self.file.fileno()).st_size <= self.read

    def lines(self) -> Iterator[Line]:
        """The lines that have become whole since the last look."""
        if os.fstat(self.file.fileno()).st_size < self.read:
            self.read = 0
        self.file.seek(self.read)
        data = self.file.read(AT_ONCE)
        name = _NAME.fullmatch(self.name)
        for record in data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]:
            start, self.read = self.read, self.read + len(record) + 1
            moment, stream, tag, part = (record.split(b" ", 3) + [b""] * 4)[:4]
            begun, before = self._parts.pop(stream, (start, b""))
            if tag == b"P":
                self._parts[stream] = begun, before + part
            elif name:
                text = (before + part).decode(errors="replace")
                yield Line(moment.decode(), stream.decode(), text, name["pod"], name["team"], name["container"])


class Tails:
    """All files that match ``patterns``. ``positions`` is the file that remembers how far each is dealt with."""

    def __init__(self, patterns: Sequence[Path], positions: Path) -> None:
        self._patterns, self._positions = patterns, positions
        self._saved: dict[str, int] = json.loads(positions.read_text()) if positions.exists() else {}
        self._tails: dict[int, Tail] = {}

    def look(self) -> None:
        """Open what is new, so that it can be read when it is deleted meanwhile, and close what was read long ago."""
        there: set[int] = set()
        for path in (path for pattern in self._patterns for path in pattern.parent.glob(pattern.name)):
            try:
                inode = path.stat().st_ino
                if inode not in self._tails:
                    file = path.open("rb")
                    inode = os.fstat(file.fileno()).st_ino
                    self._tails.setdefault(inode, Tail(path.name, file, self._saved.get(f"{inode} {path.name}", 0)))
            except FileNotFoundError:  # rotated or deleted this moment
                continue
            there.add(inode)
        for inode, tail in list(self._tails.items()):
            if inode in there:
                tail.gone_at = None
                continue
            tail.gone_at = tail.gone_at or time.monotonic()
            if tail.at_end and time.monotonic() - tail.gone_at > GONE_SECONDS:
                tail.file.close()
                del self._tails[inode]

    def lines(self) -> list[Line]:
        """What is new in all files, of each in its order."""
        return [line for tail in self._tails.values() for line in tail.lines()]

    def settle(self) -> None:
        """All lines that were read are dealt with."""
        for tail in self._tails.values():
            tail.done = tail.settled
        self._saved = {f"{inode} {tail.name}": tail.done for inode, tail in self._tails.items()}
        written = self._positions.with_suffix(".new")
        written.write_text(json.dumps(self._saved))
        written.replace(self._positions)
