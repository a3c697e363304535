"""The programs that a cluster consists of: built from Go modules beside this file, or taken from Debian."""

import platform
from dataclasses import dataclass
from pathlib import Path

from testbed.build import cached, run
from testbed.progress import Progress
from testbed.system import ensure_packages, go

KUBERNETES_VERSION = "v1.34.4"
"""As in kube/go.mod; 1.35 and later no longer run on cgroup v1."""

_DEBIAN_PACKAGES = (
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "etcd-server",
    "iproute2",
    "iptables",
    "mount",
    "nftables",
    "runc",
    "util-linux",
)

SOURCES = Path(__file__).parent


@dataclass(frozen=True)
class Programs:
    """Paths of the programs that are built here."""

    kube: Path
    """Every part of Kubernetes: ``kube kubelet …``, or a link of the part's name to it."""
    coredns: Path
    volumes: Path
    """Makes and removes the folders behind PersistentVolumeClaims."""
    pause: Path
    netpol: Path
    """Enforces NetworkPolicies, as a process and as a CNI plugin."""


def ensure(progress: Progress) -> Programs:
    """Install and build what is missing. The first build takes about 12 minutes on two cores."""
    ensure_packages(_DEBIAN_PACKAGES, progress)
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    version = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in version.items())
    kube = go_program("kube", progress, flags, f"building Kubernetes {KUBERNETES_VERSION} (about 7 minutes)")
    return Programs(
        kube=kube,
        coredns=go_program("coredns", progress),
        volumes=go_program("volumes", progress),
        pause=go_program("pause", progress),
        netpol=go_program("netpol", progress),
    )


def go_program(
    name: str,
    progress: Progress,
    linker_flags: str = "",
    title: str | None = None,
    *,
    package: str = ".",
    tags: str = "",
    module: str = "",
) -> Path:
    """The static, stripped program of the Go module ``testbed/cluster/<module>``, built where it is not cached.

    ``package``: one that the module only names, where the program is somebody else's as it is. ``module``: by default
    it has the program's ``name``.
    """
    compiler = go(progress)
    source = SOURCES / (module or name)

    def build(folder: Path) -> None:
        run(
            [
                compiler,
                "build",
                "-v",
                "-trimpath",
                "-buildvcs=false",
                f"-ldflags=-s -w {linker_flags}",
                *([f"-tags={tags}"] if tags else []),
                "-o",
                folder / name,
                package,
            ],
            progress,
            cwd=source,
            env={"CGO_ENABLED": "0"},
            mend="Mend: see that the Go module proxy can be reached (`go env GOPROXY`) and that the disk is not full.",
        )

    inputs: dict[str, str | bytes | Path] = {
        "source": source,
        "compiler": run([compiler, "version"]),
        "flags": linker_flags,
        "machine": platform.machine(),
    }
    if package != ".":
        inputs |= {"package": package, "tags": tags}
    return cached(name, inputs, build, progress, title or f"building {name}") / name
