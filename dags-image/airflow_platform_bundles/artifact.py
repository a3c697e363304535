"""DAGs as immutable tarballs in a Google Cloud Storage bucket, and one pointer to the newest.

    <prefix>/<version>.tar.gz   never changes; its metadata holds `sha256`
    <prefix>/current.json       {"version": "v1.2.0", "sha256": "…"}: what new runs get

`python -m ops publish-dags` writes both.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from airflow.configuration import conf
from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion, get_bundle_tracking_file

if TYPE_CHECKING:
    from google.cloud.storage import Bucket

log = structlog.get_logger(__name__)

POINTER = "current.json"
SUFFIX = ".tar.gz"
DIGEST_FILE = ".sha256"
"""In each unpacked version: the digest of the tarball that it came from."""
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TIMEOUT_SECONDS = 60


class ArtifactError(RuntimeError):
    """A version can't be had. The text says which, and why."""


class Announced(NamedTuple):
    """What the pointer says."""

    version: str
    sha256: str


class ArtifactDagBundle(BaseDagBundle):
    """The DAGs of one version of a tarball; without a ``version``, of the one that the pointer names.

    Each run keeps the version that it began with: its tasks fetch that tarball. What is announced but can't be had, or
    is not what was announced, is refused, and the last good version stays. ``endpoint`` is another server than
    Google's, which is asked without a login: an emulator's.
    """

    supports_versioning = True

    def __init__(self, *, bucket: str, prefix: str = "dags", endpoint: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.bucket_name = bucket
        self.prefix = prefix.strip("/")
        self.endpoint = endpoint
        self._link = self.base_dir / "current"

    @property
    def path(self) -> Path:
        """A link for the newest version, because Airflow's dag-processor expects a path that stays the same."""
        return self.versions_dir / self.version if self.version else self._link

    def initialize(self) -> None:
        """Has the version on disk. The newest one that can't be had is no error as long as an earlier one is there."""
        if self.version:
            with self.lock():
                self._ensure(self.version)
        else:
            try:
                self.refresh()
            except Exception:
                if not self._link.exists():
                    raise
                log.exception("The newest DAGs can't be had; the last good ones stay", version=self._linked())
        super().initialize()

    def get_current_version(self) -> BundleVersion | None:
        """The version asked for, else the one that is linked."""
        version = self.version or self._linked()
        return BundleVersion(version=version) if version else None

    def refresh(self) -> None:
        """Takes the version that the pointer names, whichever way it was moved."""
        if self.version:
            raise ArtifactError(f"the DAGs are tied to version {self.version}: there is nothing newer to look for")
        announced = self._announced()
        with self.lock():
            self._ensure(announced.version, announced.sha256)
            if self._linked() == announced.version:
                return
            # Airflow reads files anew at once only where their time is new, and going back leads to older ones.
            for file in (self.versions_dir / announced.version).rglob("*.py"):
                os.utime(file)
            fresh = self.base_dir / f".link-{os.getpid()}"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.versions_dir / announced.version)
            fresh.replace(self._link)
            log.info("DAGs changed", bundle=self.name, version=announced.version)
            self._forget_old(announced.version)

    @cached_property
    def _bucket(self) -> "Bucket":
        # Imported late: every process that only wants to know the bundle's name makes an instance.
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
        from google.cloud.storage import Client  # noqa: PLC0415

        if self.endpoint is None:
            return Client().bucket(self.bucket_name)
        options = {"api_endpoint": self.endpoint}
        return Client("none", AnonymousCredentials(), client_options=options).bucket(self.bucket_name)

    def _url(self, name: str) -> str:
        return f"gs://{self.bucket_name}/{self.prefix}/{name}"

    def _announced(self) -> Announced:
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 (late, as above)

        url = self._url(POINTER)
        try:
            text = self._bucket.blob(f"{self.prefix}/{POINTER}").download_as_bytes(timeout=TIMEOUT_SECONDS)
        except NotFound:
            raise ArtifactError(f"there is no {url}: no DAGs have been published there") from None
        try:
            found: dict[str, Any] = json.loads(text)
            return Announced(_checked(found["version"]), str(found["sha256"]))
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactError(f"{url} does not say a version and its sha256: {error}") from None

    def _ensure(self, version: str, sha256: str | None = None) -> None:
        """Have ``version`` unpacked. Only under the lock. Without the announced ``sha256`` the tarball's own counts."""
        folder = self.versions_dir / _checked(version)
        if folder.exists():
            held = (folder / DIGEST_FILE).read_text()
            if sha256 and held != sha256:
                raise ArtifactError(
                    f"version {version} is announced with sha256 {sha256}, but was {held}: a version never changes. "
                    "Publish the new content as a version of its own"
                )
            os.utime(folder)
            return
        self._clear_unfinished()
        with self._tarball(version, sha256) as (tarball, digest):
            unpacked = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self.base_dir))
            try:
                unpack(tarball, unpacked)
            except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
                raise ArtifactError(f"{self._url(version + SUFFIX)} can't be unpacked: {error}") from error
        (unpacked / DIGEST_FILE).write_text(digest)
        unpacked.chmod(0o755)
        self.versions_dir.mkdir(parents=True, exist_ok=True)
        unpacked.rename(folder)

    @contextmanager
    def _tarball(self, version: str, announced: str | None) -> Iterator[tuple[Path, str]]:
        """The tarball as a file, checked, and its digest."""
        url = self._url(version + SUFFIX)
        blob = self._bucket.get_blob(f"{self.prefix}/{version}{SUFFIX}", timeout=TIMEOUT_SECONDS)
        if blob is None:
            raise ArtifactError(f"there is no {url}: version {version} was never published, or has been deleted")
        expected = announced or (blob.metadata or {}).get("sha256")
        if not expected:
            raise ArtifactError(f"{url} has no sha256 in its metadata: it was not published by `ops publish-dags`")
        self.base_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self.base_dir) as scratch:
            file = Path(scratch, "tarball")
            blob.download_to_filename(file, if_generation_match=blob.generation, timeout=TIMEOUT_SECONDS)
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            if digest != expected:
                raise ArtifactError(f"{url} is not what was announced: its sha256 is {digest}, not {expected}")
            yield file, digest

    def _linked(self) -> str | None:
        return self._link.readlink().name if self._link.is_symlink() else None

    def _clear_unfinished(self) -> None:
        # Only who holds the lock makes these, and that is us: they are of processes that were killed.
        for pattern in (".unpacking-*", ".fetching-*"):
            for folder in self.base_dir.glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)

    def _forget_old(self, current: str) -> None:
        """Remove what the pointer has left behind. Versions that tasks have used are Airflow's own to remove."""
        kept = conf.getint("dag_processor", "stale_bundle_cleanup_min_versions")
        oldest = time.time() - conf.getint("dag_processor", "stale_bundle_cleanup_age_threshold")
        folders = sorted(self.versions_dir.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in folders[kept:]:
            used_by_tasks = get_bundle_tracking_file(self.name, folder.name).exists()
            if folder.name != current and not used_by_tasks and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def unpack(tarball: Path, folder: Path) -> None:
    """Write the files of ``tarball`` below ``folder``, which is empty.

    Refuses everything but plain files and folders below it: links, devices, absolute paths, `..`.
    """
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if member.name.startswith("/") or ".." in parts or not (member.isreg() or member.isdir()):
                raise tarfile.TarError(f"{member.name} is no plain file or folder below the tarball's top")
            target = folder.joinpath(*parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None  # it is a regular file
            with source, target.open("xb") as written:
                shutil.copyfileobj(source, written)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _checked(version: object) -> str:
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise ArtifactError(f"{version!r} is no version: letters, digits, '.', '_', '-', at most 128")
    return version
