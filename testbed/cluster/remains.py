"""What a cluster has on the machine outside of its state folder, and how all of it is taken back."""

import contextlib
import time
from pathlib import Path

from testbed.cluster import cgroups, mounts, network, processes
from testbed.cluster.layout import Layout

# CNI has this folder built in; what lies there and is the cluster's names a path of its own.
_CNI_RESULTS = Path("/var/lib/cni/results")

_STUBBORN = 30  # seconds after which a process that does not end is reported instead


def end_processes(layout: Layout, grace: float) -> None:
    """End everything: what would start pods anew first, then the pods, then what holds and serves them.

    Each group has ``grace`` seconds to end by itself.
    """
    last = ["kube-apiserver", "etcd", "containerd"]
    processes.stop(layout, set(processes.names(layout)) - set(last), grace)
    processes.end(cgroups.members(layout), grace)
    for name in last:  # one by one: without etcd, the API server would wait for it
        processes.stop(layout, [name], grace)
    deadline = time.monotonic() + _STUBBORN
    while (left := processes.marked(layout) | cgroups.members(layout)) and time.monotonic() < deadline:
        processes.end(left, 0)  # shims, and what has lost its record


def remove_traces(layout: Layout) -> None:
    """Take back mounts, namespace, cgroups and files of a cluster whose processes have ended."""
    mounts.unmount_all(layout.state)
    network.remove(layout)
    cgroups.remove(layout)
    for file in _files(layout):
        file.unlink(missing_ok=True)
    forget_pods(layout)


def forget_pods(layout: Layout) -> None:
    """Forget which containers ran and what addresses they had, as a machine does when it starts again."""
    for address in layout.containerd_state.glob("io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)  # a dead shim's socket
    for folder in (layout.containerd_state, layout.cni_addresses):
        mounts.remove_tree(folder)


def containers_lost_their_mounts(layout: Layout) -> bool:
    """Whether the root file system of a container that lives is no longer mounted."""
    mounted = set(mounts.below(layout.containerd_state))
    for pid_file in layout.containerd_state.glob("io.containerd.runtime.v2.task/*/*/init.pid"):
        with contextlib.suppress(OSError, ValueError):  # it ends just now
            alive = int(pid_file.read_text()) in cgroups.members(layout)
            if alive and pid_file.parent.exists() and pid_file.parent / "rootfs" not in mounted:
                return True
    return False


def listed(layout: Layout) -> list[str]:
    """One line for each thing that is the cluster's, for people and tests."""
    pids = processes.marked(layout) | cgroups.members(layout)
    found = [processes.describe(pid) for pid in sorted(pids)]
    found += [f"mount {point}" for point in mounts.below(layout.state)]
    if layout.namespace_file.exists():
        found.append(f"network namespace {layout.namespace}")
    found += [f"cgroup {folder}" for folder in cgroups.folders(layout)]
    return found + [f"file {file}" for file in _files(layout)]


def _files(layout: Layout) -> list[Path]:
    pod_namespaces = f"{layout.containerd_state}/".encode()
    return [file for file in _CNI_RESULTS.glob("*") if pod_namespaces in _content(file)]


# Other clusters' pods come and go meanwhile: what is removed just now is nobody's.


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
