"""Cached builds: made once for a set of inputs, kept outside the clone, never used when an input changed."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from testbed.paths import cache_dir
from testbed.progress import Failure, Progress


class Digest(Protocol):
    """What hashlib's objects do."""

    def update(self, data: bytes, /) -> None:
        """Add ``data``."""


def key_of(inputs: Mapping[str, str | bytes | Path]) -> str:
    """A short hash over names and contents; a ``Path`` counts by the content of the file or the whole folder."""
    digest = hashlib.sha256()
    for name in sorted(inputs):
        digest.update(f"\0{name}\0".encode())
        value = inputs[name]
        if isinstance(value, Path):
            _add_path(digest, value)
        else:
            digest.update(value.encode() if isinstance(value, str) else value)
    return digest.hexdigest()[:16]


def _add_path(digest: Digest, path: Path) -> None:
    files = (
        sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts) if path.is_dir() else [path]
    )
    for file in files:
        digest.update(f"\0{file.relative_to(path) if path.is_dir() else file.name}\0".encode())
        digest.update(file.read_bytes())


def cached(
    name: str,
    inputs: Mapping[str, str | bytes | Path],
    build: Callable[[Path], None],
    progress: Progress,
    title: str | None = None,
) -> Path:
    """The folder that ``build(folder)`` filled for these ``inputs``, building it first where it is missing.

    The folder appears whole or not at all: an interrupted build leaves nothing that a later run would take
    for finished. Two processes that want the same build wait for one another.
    """
    target = cache_dir() / f"{name}-{key_of(inputs)}"
    if target.is_dir():
        return target
    with (cache_dir() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        for stale in cache_dir().glob(f"{name}.making-*"):  # we hold the lock: whoever made it is gone
            shutil.rmtree(stale, ignore_errors=True)
        making = Path(tempfile.mkdtemp(prefix=f"{name}.making-", dir=cache_dir()))
        try:
            with progress.step(title or f"building {name}"):
                build(making)
            making.chmod(0o755)
            making.rename(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return target


def run(
    command: Sequence[str | Path],
    progress: Progress | None = None,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    mend: str = "",
) -> str:
    """Run ``command``, feed its output lines to ``progress.note``, return them; a failure shows the last 30.

    Output goes through a pipe, nothing is read from standard input. ``mend`` says what a person can do.
    """
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if progress and line.strip():
                progress.note(line)
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code:
        tail = "".join(lines[-30:])
        raise Failure(f"{' '.join(str(p) for p in command[:4])} … ended with exit code {code}.\n{tail}{mend}".rstrip())
    return "".join(lines)
