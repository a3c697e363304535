"""Enforces NetworkPolicies: a process of the node, and the CNI plugin that lets no pod start before its rules."""

from pathlib import Path

from testbed.cluster.layout import POD_RANGE, Layout
from testbed.cluster.processes import Component
from testbed.cluster.programs import Programs

LISTEN_HOST = "127.0.0.1"
LISTEN_PORT = 10400
"""Where the enforcer says what is in force (GET /applied, GET /healthz); in the cluster's namespace only."""

_DEBIAN_CNI_PROGRAMS = Path("/usr/lib/cni")


def enforcer(layout: Layout, programs: Programs) -> Component:
    """The process; what it takes and does is described in netpol/README.md."""
    return Component(
        "netpol",
        [
            programs.netpol,
            f"--kubeconfig={layout.inner_kubeconfig}",
            f"--listen={LISTEN_HOST}:{LISTEN_PORT}",
            f"--pod-cidr={POD_RANGE}",
            "--reject",  # a client that may not connect learns it at once, not after minutes
        ],
        [layout.inner_kubeconfig],
    )


def plugin() -> dict[str, object]:
    """Its entry in the pods' network configuration: anywhere after the plugin that gives the address."""
    return {"type": "netpol", "listen": f"{LISTEN_HOST}:{LISTEN_PORT}"}


def plugin_folder(layout: Layout) -> Path:
    """Where the container runtime finds Debian's CNI plugins and the enforcer's own: it takes one folder only."""
    return layout.config / "cni-programs"


def install_plugin(layout: Layout, programs: Programs) -> None:
    """Fill ``plugin_folder``."""
    folder = plugin_folder(layout)
    folder.mkdir(exist_ok=True)
    wanted = {program.name: program for program in _DEBIAN_CNI_PROGRAMS.iterdir()} | {"netpol": programs.netpol}
    for name, program in wanted.items():
        link = folder / name
        if not link.is_symlink() or link.readlink() != program:
            link.unlink(missing_ok=True)
            link.symlink_to(program)
