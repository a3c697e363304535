"""Wheels for a lock file: downloaded once, checked against the lock's hashes, for a Python that need not be ours."""

import platform
import sys
from pathlib import Path

from testbed.build import cached, run
from testbed.progress import Progress

IMAGE_PYTHON = "3.11"
"""The Python of Debian bookworm, which the images are made of (3.11.2; the locks are resolved for it)."""
OLDEST_GLIBC, IMAGE_GLIBC = 5, 36
"""Minor versions of glibc 2: a wheel for any of them runs on bookworm's 2.36."""


def platforms(machine: str) -> list[str]:
    """The wheel platform tags that bookworm on ``machine`` (``x86_64``, ``aarch64``) accepts, best first.

    All of them are named because pip, once told of another platform than its own, infers none.
    """
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(IMAGE_GLIBC, OLDEST_GLIBC - 1, -1)]
    return [*tags, *(f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux"))]


def wheels(progress: Progress, lock: Path, python: str = IMAGE_PYTHON) -> Path:
    """A folder with the wheels of ``lock`` (every line with hashes) for CPython ``python`` (major.minor).

    Refuses, with pip's own words, a package that has no wheel for that Python or whose hash differs from the lock's.
    """
    machine = platform.machine()
    name = lock.parent.name

    def build(folder: Path) -> None:
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--no-cache-dir", "--progress-bar", "off"),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
                *("--implementation", "cp", "--python-version", python),
                *(f"--platform={tag}" for tag in platforms(machine)),
                *("--dest", folder, "--requirement", lock),
            ],
            progress,
            mend="Mend: see that the package index answers, then run the command again.",
        )

    return cached(
        f"wheels-{name}",
        {"lock": lock, "python": python, "machine": machine},
        build,
        progress,
        f"downloading the wheels of {name}/{lock.name}",
    )
