"""What pods used while something was measured: seconds of CPU and peak memory, from their cgroups on this machine."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client

from testbed.cluster import cgroups
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import Layout

MEBI = 2**20
NANOSECONDS = 1e9
MICROSECONDS = 1e6


@dataclass
class Usage:
    """Of the pods that there are when it is made, by part; ``look`` now and then for the peak."""

    cluster: str
    api: client.ApiClient
    _folders: dict[str, list[list[Path]]] = field(default_factory=lambda: defaultdict(list))
    """Of each part its pods; of each pod its folders: one in each hierarchy, and more than one of those may count."""
    _begun: dict[str, float] = field(default_factory=dict)
    _peak: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _machine: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        roots = cgroups.folders(Layout(self.cluster))
        pods: list[Any] = client.CoreV1Api(self.api).list_pod_for_all_namespaces().items
        for pod in pods:
            labels = pod.metadata.labels or {}
            part = labels.get("airflow-platform/queue") or labels.get("app.kubernetes.io/component")
            name = f"worker {part}" if "airflow-platform/queue" in labels else part or pod.metadata.name
            uid = pod.metadata.uid
            found = [path for root in roots for path in root.rglob(f"*{uid}*")]
            found += [path for root in roots for path in root.rglob(f"*{uid.replace('-', '_')}*")]
            self._folders[name].append([path for path in found if path.is_dir()])
        self._begun = {name: self._cpu(name) for name in self._folders}
        self._machine = _machine()

    def look(self) -> None:
        """Take the memory of this moment into account."""
        for name, pods in self._folders.items():
            self._peak[name] = max(self._peak[name], sum(max(map(_memory, pod), default=0) for pod in pods))

    def rows(self) -> list[tuple[str, float, int]]:
        """Part, seconds of CPU since the beginning, peak memory in MiB; what used most comes first."""
        found = [(name, self._cpu(name) - begun, self._peak[name] // MEBI) for name, begun in self._begun.items()]
        return sorted(found, key=lambda row: -row[1])

    def busy(self) -> float:
        """How many of the machine's cores were busy on average, with whatever."""
        busy, all_of_it = (now - then for now, then in zip(_machine(), self._machine, strict=True))
        cores = len([line for line in _stat() if line.startswith("cpu")]) - 1
        return cores * busy / all_of_it if all_of_it else 0.0

    def _cpu(self, name: str) -> float:
        return sum(max(map(_seconds, pod), default=0.0) for pod in self._folders[name])


def cluster_name(cluster: Cluster) -> str:
    """As the cgroups of its pods are named after it."""
    return cluster.state.name


def _seconds(folder: Path) -> float:
    """CPU of a cgroup, v1 or v2; 0 in a hierarchy that doesn't count it."""
    try:
        if (folder / "cpuacct.usage").exists():
            return int((folder / "cpuacct.usage").read_text()) / NANOSECONDS
        if (folder / "cpu.stat").exists():
            stat = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            return int(stat.get("usage_usec", 0)) / MICROSECONDS
    except OSError:  # its pod is gone
        pass
    return 0.0


def _memory(folder: Path) -> int:
    """The working set of a cgroup, as `kubectl top` counts it: without what was read from files and can go."""
    try:
        for usage, inactive in (("memory.usage_in_bytes", "total_inactive_file"), ("memory.current", "inactive_file")):
            if (folder / usage).exists():
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                return max(0, int((folder / usage).read_text()) - int(stat.get(inactive, 0)))
    except OSError:
        pass
    return 0


def _machine() -> tuple[float, float]:
    """Busy and all ticks of the machine's CPUs since it started."""
    ticks = [int(number) for number in _stat()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return float(sum(ticks) - idle), float(sum(ticks))


def _stat() -> list[str]:
    return Path("/proc/stat").read_text(encoding="ascii").splitlines()
