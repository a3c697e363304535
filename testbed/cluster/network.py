"""The network namespace that a cluster lives in: one node, its Services and pods, and no way out.

Interfaces, routes, packet filters and connection tracking belong to the namespace and vanish with it.
"""

import subprocess
from pathlib import Path

from testbed.build import run
from testbed.cluster.layout import NODE_IP, SERVICE_RANGE, Layout

_NODE_INTERFACE = "node0"


def enter(layout: Layout) -> list[str]:
    """The words before a command that run it in the namespace.

    Not ``ip netns exec``: that mounts a fresh /sys, in which the kubelet would find no cgroups.
    """
    return ["nsenter", f"--net={layout.namespace_file}", "--"]


def exists(layout: Layout) -> bool:
    return _is_namespace(layout.namespace_file)


def inode(layout: Layout) -> int:
    """Identifies the namespace: a process is in it if its /proc/<pid>/ns/net has the same number."""
    return layout.namespace_file.stat().st_ino


def make(layout: Layout) -> None:
    """Make the namespace; it must not exist."""
    layout.namespace_file.unlink(missing_ok=True)  # a name left without its mount, as after a crash
    run(["ip", "netns", "add", layout.namespace])
    steps = [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "add", _NODE_INTERFACE, "type", "bridge"],
        ["ip", "addr", "add", f"{NODE_IP}/24", "dev", _NODE_INTERFACE],
        ["ip", "link", "set", _NODE_INTERFACE, "up"],
        # No way out, and said at once: without any default route some clients wait for their time-outs.
        ["ip", "route", "add", "unreachable", "default"],
        # The node looks a route up before kube-proxy rewrites the address of a Service.
        ["ip", "route", "add", SERVICE_RANGE, "dev", _NODE_INTERFACE],
        ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"],
        ["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"],
    ]
    for step in steps:
        run([*enter(layout), *step])


def remove(layout: Layout) -> None:
    """Remove the namespace, if it is there, and the folder's own mount when this was the last one of the machine."""
    if exists(layout):
        run(["ip", "netns", "delete", layout.namespace])
    layout.namespace_file.unlink(missing_ok=True)
    folder = layout.namespace_file.parent
    if folder.is_dir() and not any(folder.iterdir()):
        # `ip netns add` mounts the folder onto itself and never takes that back.
        subprocess.run(["umount", folder], capture_output=True, check=False)


def _is_namespace(path: Path) -> bool:
    """A name in /run/netns counts only while a namespace is mounted on it (the file system "nsfs")."""
    try:
        return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except FileNotFoundError:
        return False
