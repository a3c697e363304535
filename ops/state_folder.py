"""A stack's state in a folder of this machine: its passphrase, and locks that nobody holds any more."""

import json
import os
import secrets
import socket
from pathlib import Path

from testbed.progress import Progress


def passphrase(home: Path) -> str:
    """The passphrase of a stack that nobody else has one for, made once; only its owner can read the file."""
    path = home / "passphrase"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="utf-8")


def release_dead_lock(home: Path, progress: Progress) -> None:
    """Remove the lock of an engine that was killed: its process is gone, and nobody else would ever remove it."""
    for lock in (home / "state" / ".pulumi" / "locks").rglob("*.json"):
        try:
            held = json.loads(lock.read_text(encoding="utf-8"))
        except json.JSONDecodeError:  # its run was killed while it wrote it
            progress.say(f"  a lock that can't be read is removed: {lock.name}")
            lock.unlink()
            continue
        if held.get("hostname") == socket.gethostname() and not _is_engine(held.get("pid")):
            progress.say(f"  an earlier run was killed (process {held.get('pid')}); its lock is removed")
            lock.unlink()


def _is_engine(pid: object) -> bool:
    """Whether ``pid`` is a living Pulumi. One that ended but was not yet reaped has no command line any more."""
    try:
        return b"pulumi" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # a system that does not tell: assume the best of it
