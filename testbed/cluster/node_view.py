"""What of the machine's folders the node has for itself, so that pods which mount them see this cluster's alone.

The kubelet links every container's log below /var/log, and pods that read the node's logs mount that folder. Kubelet
and container runtime each start in a mount namespace of their own, in which these folders are the cluster's; mounts
that they make for pods are shared with the machine, where they are seen and taken back.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from testbed.build import run
from testbed.cluster.layout import Layout

OWN = {"/var/log": "log", "/var/lib/airflow-platform-logs": "log-shipper"}
"""Folders of the machine, and what they are called in ``Layout.node_folders``: logs, and what pods keep on the node."""
POD_LOGS = "/var/log/pods"
"""As the node sees it, and where a node has them everywhere."""

_ENTER = """
set -e
while [ "$1" != -- ]; do
  mkdir -p "$2"
  mount --make-private "$(findmnt --noheadings --output TARGET --target "$2")"
  mount --bind "$1" "$2"
  shift 2
done
shift
exec "$@"
"""


def prepare(layout: Layout) -> None:
    """Make the node's folders, and share the mounts in those where pods' are made. Before anything starts."""
    for name in OWN.values():
        (layout.node_folders / name).mkdir(parents=True, exist_ok=True)
    for folder in (layout.kubelet, layout.containerd_state):
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_mount(folder):
            run(["mount", "--rbind", folder, folder])
            # First apart from what the machine's root may be shared with, then among the cluster's own.
            run(["mount", "--make-private", folder])
            run(["mount", "--make-shared", folder])


def enter(layout: Layout) -> Sequence[str]:
    """The words before a command that run it with the node's folders in the machine's places."""
    pairs = [str(word) for place, name in OWN.items() for word in (layout.node_folders / name, place)]
    return ["unshare", "--mount", "--propagation=unchanged", "--", "sh", "-c", _ENTER, "sh", *pairs, "--"]


def _is_mount(folder: Path) -> bool:
    return subprocess.run(["mountpoint", "--quiet", folder], check=False).returncode == 0
