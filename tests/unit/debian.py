"""Programs of Debian's, without installing them: that would start servers."""

import shutil
import subprocess
from pathlib import Path

import pytest


def debians(program: str, package: str, folders: pytest.TempPathFactory) -> Path:
    """The ``program`` on PATH, else the one in Debian's ``package``; skips the test where neither can be had."""
    if found := shutil.which(program):
        return Path(found)
    if not shutil.which("apt-get"):
        pytest.skip(f"{program} is not on PATH, and Debian's package can't be had here")
    folder = folders.mktemp(program)
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    return folder / "usr/bin" / program
