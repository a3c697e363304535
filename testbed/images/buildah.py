"""Buildah with a storage of its own in the cache, leaving no mount behind."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.build import run
from testbed.paths import cache_dir
from testbed.progress import Failure, Progress
from testbed.system import ensure_packages

GIB = 1024**3
APART = ("unshare", "--mount", "--propagation", "private", "--net")
"""Every call gets a mount namespace, because the overlay driver keeps a mount that would outlive the build, and a
network namespace, because the isolation that works in any sandbox (chroot) shares the network that it is called in."""


_ALTERED = "file integrity checksum failed"
NOT_MOUNTED = "on host to bind mount into container"
"""What Buildah 1.28 says where a step mounts another stage of which every step came from its cache."""


class StorageAltered(Failure):
    """A file in the storage was changed, for example by a tool that adds its authority to every certificate bundle."""


class Buildah:
    """Builds images and writes them as archives. Needs root, as the testbed's cluster does.

    Made by :func:`buildah`, which holds a lock: one process at a time uses the storage.
    """

    def __init__(self, storage: Path, driver: str, progress: Progress) -> None:
        self._flags: list[str | Path] = [
            "--root",
            storage / driver,
            "--runroot",
            storage / f"{driver}-run",
            "--storage-driver",
            driver,
        ]
        self._driver = driver
        self._progress = progress

    def elsewhere(self, storage: Path) -> "Buildah":
        """The same, with a storage of its own."""
        return Buildah(storage, self._driver, self._progress)

    def run(self, command: str, *arguments: str | Path) -> str:
        """Run ``buildah COMMAND …`` and return its output.

        Without a network: what a build needs was downloaded and checked before.
        """
        return run(
            [*APART, "buildah", *self._flags, command, *arguments],
            self._progress,
            env={"BUILDAH_ISOLATION": "chroot"},
        )

    def has(self, reference: str) -> bool:
        """Whether the storage holds an image of this name."""
        return reference in self.run("images", "--format", "{{.Name}}:{{.Tag}}").splitlines()

    def build(
        self,
        containerfile: Path,
        context: Path,
        reference: str,
        arguments: Mapping[str, str],
        volumes: Sequence[str] = (),
    ) -> None:
        """Build ``containerfile`` with build ``arguments``; ``volumes`` (``host:inside:ro``) are there in RUN only."""
        options: list[str | Path] = [
            *("--isolation", "chroot", "--pull=never", "--layers", "--format", "oci"),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *(f"--volume={volume}" for volume in volumes),
            *("--tag", reference, "--file", containerfile, context),
        ]
        try:
            self.run("build", *options)
        except Failure as failure:
            if NOT_MOUNTED not in str(failure):
                raise
            self.run("build", "--no-cache", *options)

    def save(self, reference: str, archive: Path) -> None:
        """Write the image as an archive that knows its name, for a container runtime on this machine to import.

        In Docker's form, because Buildah compresses the layers of OCI archives, which takes longer than all the rest.
        Raises ``StorageAltered`` where a file in the storage is no longer what was built.
        """
        try:
            self.run("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")
        except Failure as failure:
            if _ALTERED in str(failure):
                raise StorageAltered(str(failure)) from None
            raise

    def load(self, archive: Path, reference: str) -> None:
        """Put the image of an archive that :meth:`save` wrote back into the storage, under its name."""
        self.run("pull", "--quiet", f"docker-archive:{archive}")
        if not self.has(reference):
            raise Failure(
                f"{archive} doesn't hold {reference}. Mend: remove {archive.parent}, then run the command again."
            )

    def whole(self, make: Callable[[], None]) -> None:
        """Run ``make``, which builds and saves; once more from an empty storage where a file in it was altered.

        The archives are what counts: what the storage held is made from them again.
        """
        try:
            make()
        except StorageAltered:
            self.run("rmi", "--all", "--force")
            make()

    def forget(self, references: Sequence[str]) -> None:
        """Remove images from the storage, with the layers that no other image needs."""
        for reference in references:
            if self.has(reference):
                self.run("rmi", "--force", reference)


@contextmanager
def buildah(progress: Progress, need: int = 4 * GIB) -> Iterator[Buildah]:
    """A :class:`Buildah` for a ``with`` block, once no other process builds. ``need`` is in bytes of free disk.

    Refuses a user who is not root, and a disk with less than ``need`` free, before anything is built.
    """
    if os.geteuid() != 0:
        raise Failure("building images needs root. Mend: run the command again with sudo.")
    ensure_packages(["buildah"], progress)
    storage = cache_dir() / "buildah"
    need_space(cache_dir(), need, "building images")
    storage.mkdir(exist_ok=True)
    with (cache_dir() / "buildah.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        builder = Buildah(storage, _driver(storage), progress)
        builder.run("rm", "--all")  # an interrupted build left its container; we hold the lock, so nobody else's
        yield builder


def need_space(path: Path, need: int, purpose: str) -> None:
    """Refuse to go on where the file system of ``path`` has less than ``need`` bytes free."""
    free = shutil.disk_usage(path).free
    if free < need:
        raise Failure(
            f"{purpose} needs {need / GIB:.1f} GiB of free disk at {path}, {free / GIB:.1f} GiB are free.\n"
            "Mend: free some, or set AIRFLOW_PLATFORM_CACHE to a folder on a larger disk."
        )


def _driver(storage: Path) -> str:
    """``overlay`` where the file system can, else ``vfs``, which copies every layer: slow, but it always works."""
    probe = subprocess.run(
        [
            *(*APART, "buildah", "--root", storage / "overlay", "--runroot", storage / "overlay-run"),
            *("--storage-driver", "overlay", "info"),
        ],
        capture_output=True,
        check=False,
    )
    return "vfs" if probe.returncode else "overlay"
