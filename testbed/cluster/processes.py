"""Starts and ends the cluster's processes, each in the namespace, in a session of its own, with a log of its own.

A process is recognised by its id together with the time of its start, since ids are used again; and every process
carries the environment variable ``MARK``, by which one without a record is found too.
"""

import contextlib
import hashlib
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.cluster import network
from testbed.cluster.layout import Layout

MARK = "AIRFLOW_PLATFORM_CLUSTER"
"""Its value is the cluster's state folder. Children inherit it, such as the shims that hold containers."""

_PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Component:
    """A process that the cluster consists of."""

    name: str
    argv: Sequence[str | Path]
    config: Collection[Path] = ()
    """Files it reads at its start: it is started anew when their content has changed."""

    def fingerprint(self) -> str:
        digest = hashlib.sha256("\0".join(str(word) for word in self.argv).encode())
        for file in self.config:
            digest.update(file.read_bytes())
        return digest.hexdigest()


def is_current(layout: Layout, component: Component) -> bool:
    """Whether ``component`` runs as described, with its files as they are now, in the namespace as it is now."""
    recorded = _record(layout, component.name).get("fingerprint")
    return recorded == component.fingerprint() and is_running(layout, component.name)


def start(layout: Layout, component: Component, listener: socket.socket | None = None) -> bool:
    """See that ``component`` is current; whether it had to be started. It gets ``listener`` as descriptor 3."""
    if is_current(layout, component):
        return False
    stop(layout, [component.name])
    layout.logs.mkdir(parents=True, exist_ok=True)
    layout.run.mkdir(parents=True, exist_ok=True)
    log = log_file(layout, component.name)
    if log.exists():
        log.replace(log.with_suffix(".previous"))
    # As many open files as allowed, not the few of a person's shell: containers inherit it, and databases need it.
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    words = ["prlimit", f"--nofile={files}:{files}", *network.enter(layout), *(str(word) for word in component.argv)]
    streams: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    if listener:
        streams.append((os.POSIX_SPAWN_DUP2, listener.fileno(), 3))
    pid = os.posix_spawnp(
        words[0],
        words,
        # Nothing of the caller's: a proxy or a KUBECONFIG of a person's shell would lead the parts astray.
        {"PATH": _PROGRAM_PATH, "HOME": os.environ.get("HOME", "/root"), MARK: str(layout.state)},
        file_actions=streams,
        setsid=True,  # Ctrl-C ends the command, not the cluster
    )
    record = {"pid": pid, "started": _start_of(pid), "boot": _boot(), "fingerprint": component.fingerprint()}
    _record_file(layout, component.name).write_text(json.dumps(record))
    return True


def is_running(layout: Layout, name: str) -> bool:
    """Whether the recorded process lives, in the namespace that bears the cluster's name now."""
    pid = pid_of(layout, name)
    if pid is None or not network.exists(layout):
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == network.inode(layout) or _is_entering(pid)
    return False


def pid_of(layout: Layout, name: str) -> int | None:
    """The process's id while it lives."""
    record = _record(layout, name)
    if not record or record["boot"] != _boot():
        return None
    pid = int(record["pid"])
    started = _start_of(pid)
    return pid if started is not None and started == record["started"] else None


def names(layout: Layout) -> list[str]:
    """Of all processes that have a record, whether they live or not."""
    return sorted(file.stem for file in layout.run.glob("*.json"))


def stop(layout: Layout, which: Collection[str], grace: float = 5.0) -> None:
    """End the processes by SIGTERM, after ``grace`` seconds by SIGKILL, and forget them."""
    pids = {pid for name in which if (pid := pid_of(layout, name)) is not None}
    end(pids, grace)
    for name in which:
        _record_file(layout, name).unlink(missing_ok=True)


def end(pids: Collection[int], grace: float) -> None:
    """SIGTERM, then after ``grace`` seconds SIGKILL; returns when none is left."""
    identities = {pid: started for pid in pids if (started := _start_of(pid)) is not None}

    def living() -> list[int]:
        return [pid for pid, started in identities.items() if _start_of(pid) == started]

    for sent, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        for pid in living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
        deadline = time.monotonic() + seconds
        while living() and time.monotonic() < deadline:
            time.sleep(0.02)


def marked(layout: Layout) -> set[int]:
    """Every living process that was started for this cluster, recorded or not, apart from the pods' own."""
    wanted = f"{MARK}={layout.state}".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0") and _start_of(int(folder.name)):
                    found.add(int(folder.name))
    return found


def describe(pid: int) -> str:
    """For people: the id and the command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = "(gone)"
    return f"process {pid}: {command[:120]}"


def log_file(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.log"


def log_tail(layout: Layout, name: str, lines: int = 15) -> str:
    """The end of what the process said last, to be shown in a Failure."""
    file = log_file(layout, name)
    if not file.exists():
        return f"({file} does not exist)"
    text = file.read_text(errors="replace").splitlines()[-lines:]
    return f"The end of {file}:\n" + "\n".join(f"  {line[:300]}" for line in text)


def _record_file(layout: Layout, name: str) -> Path:
    return layout.run / f"{name}.json"


def _record(layout: Layout, name: str) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads(_record_file(layout, name).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_of(pid: int) -> str | None:
    """Clock ticks from the machine's start to the process's; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] not in "ZX":
        return fields[19]
    try:
        # A child of our own: its entry goes when its end is noticed, which waits for the last of its threads.
        return None if os.waitpid(pid, os.WNOHANG)[0] else fields[19]
    except ChildProcessError:
        return None


def _is_entering(pid: int) -> bool:
    """Just started: about to enter the namespace and become the program."""
    return Path(f"/proc/{pid}/comm").read_text().strip() in ("prlimit", "nsenter")
