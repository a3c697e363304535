"""Names, addresses and paths of one cluster; everything that it keeps lies under ``state``."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from testbed.paths import state_dir
from testbed.progress import Failure

NODE_NAME = "node1"
NODE_IP = "10.99.0.1"
API_PORT = 6443
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
DNS_DOMAIN = "cluster.local"

# The kernel takes 107 bytes for the path of a Unix socket; the longest one below the state folder,
# kubelet/plugins_registry and containerd's own sockets included, takes up to 45 of them.
_LONGEST_STATE_PATH = 60


@dataclass(frozen=True)
class Layout:
    """Where the parts of the cluster ``name`` are found."""

    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", self.name):
            raise Failure(
                f"{self.name!r} is no name for a cluster.\n"
                "Mend: at most 20 lower-case letters, digits and dashes, a letter first, no dash at the end."
            )
        if len(str(self.state)) > _LONGEST_STATE_PATH:
            raise Failure(
                f"the path {self.state} is too long for the Unix sockets below it.\n"
                f"Mend: set AIRFLOW_PLATFORM_STATE to a shorter path (here at most "
                f"{_LONGEST_STATE_PATH - len(str(self.state.relative_to(state_dir()))) - 1} characters)."
            )

    @cached_property
    def state(self) -> Path:
        return state_dir().resolve() / "clusters" / self.name

    @property
    def lock(self) -> Path:
        """Held by whoever brings the cluster up or down; outside of ``state``, which goes with the cluster."""
        return self.state.with_suffix(".lock")

    @property
    def namespace(self) -> str:
        return f"afp-{self.name}"

    @property
    def namespace_file(self) -> Path:
        return Path("/run/netns") / self.namespace

    @property
    def cgroup(self) -> str:
        """Of all pods, below the root of every hierarchy that the machine has."""
        return f"afp-{self.name}"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One file a process; pods' logs are in ``node_folders``."""
        return self.state / "log"

    @property
    def run(self) -> Path:
        """What runs: one file a process."""
        return self.state / "run"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def host_kubeconfig(self) -> Path:
        """For clients on the machine: the API server behind a forwarded port of 127.0.0.1."""
        return self.state / "kubeconfig"

    @property
    def inner_kubeconfig(self) -> Path:
        """For processes in the network namespace."""
        return self.config / "admin.kubeconfig"

    @property
    def node_kubeconfig(self) -> Path:
        return self.config / "node.kubeconfig"

    @property
    def etcd(self) -> Path:
        return self.state / "etcd"

    @property
    def containerd_root(self) -> Path:
        """Images and snapshots: kept between runs."""
        return self.state / "containerd"

    @property
    def containerd_state(self) -> Path:
        """What a machine would keep in /run and lose when it starts again."""
        return self.state / "containerd-run"

    @property
    def containerd_socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def cni_addresses(self) -> Path:
        return self.state / "cni"

    @property
    def cni_network(self) -> str:
        return f"afp-{self.name}-pods"

    @property
    def kubelet(self) -> Path:
        return self.state / "kubelet"

    @property
    def node_folders(self) -> Path:
        """What the node has in place of the machine's folders: see node_view.py."""
        return self.state / "node"

    @property
    def volumes(self) -> Path:
        """One folder a PersistentVolume."""
        return self.state / "volumes"

    @property
    def forwards(self) -> Path:
        """One file a forwarded port."""
        return self.state / "forwards"
