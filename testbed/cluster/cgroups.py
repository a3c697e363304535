"""The cgroups of a cluster's pods: one folder of the cluster's own in every hierarchy, cgroup v1 or v2."""

import contextlib
import os
import time
from pathlib import Path

from testbed.cluster.layout import Layout

_ROOT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def make(layout: Layout) -> None:
    """The kubelet wants its root cgroup to be there, with every controller that it uses."""
    for hierarchy in _hierarchies():
        if (hierarchy / "cgroup.subtree_control").exists():
            for controller in _V2_CONTROLLERS:
                with contextlib.suppress(OSError):  # one that the kernel lacks or that is not delegated
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
        (hierarchy / layout.cgroup).mkdir(exist_ok=True)


def members(layout: Layout) -> set[int]:
    """The ids of all processes in the cluster's pods."""
    found: set[int] = set()
    for folder in folders(layout):
        for inner in _tree(folder):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (inner / "cgroup.procs").read_text().split())
    return found - {0}


def folders(layout: Layout) -> list[Path]:
    return [hierarchy / layout.cgroup for hierarchy in _hierarchies() if (hierarchy / layout.cgroup).is_dir()]


def remove(layout: Layout) -> None:
    """Remove the cgroups, which must have no members; the kernel may take a moment to let the last one go."""
    deadline = time.monotonic() + 5
    while (remaining := folders(layout)) and time.monotonic() < deadline:
        for root in remaining:
            for folder in reversed(_tree(root)):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        time.sleep(0.02)


def _tree(root: Path) -> list[Path]:
    """``root`` and every folder below it, parents first. One that goes meanwhile, with its pod, is left out."""
    return [Path(folder) for folder, _, _ in os.walk(root)]  # unlike rglob, it goes on where a folder has vanished


def _hierarchies() -> list[Path]:
    """Mount points: the one of a v2 machine, or all of a v1 machine's, a v2 one without controllers included."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(mount_point) for _, mount_point, kind, *_ in mounts if kind in ("cgroup", "cgroup2")]
