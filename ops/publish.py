"""`make publish-dags` and `make rollback-dags`: DAGs of kind `artifact`, as a tarball and a pointer in a bucket.

    <prefix>/<version>.tar.gz   never changes; its metadata holds `sha256`
    <prefix>/current.json       {"version": "v1.2.0", "sha256": "…"}: what new runs get

Airflow's side of it is dags-image/airflow_platform_bundles/artifact.py. The login is Google's usual one
(https://cloud.google.com/docs/authentication/application-default-credentials).
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.api_core.exceptions import Forbidden, NotFound, PreconditionFailed, RetryError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Bucket, Client

from components.gcp.dag_bucket import dag_bucket_name
from infra.settings.dags import ArtifactDags
from ops.tarball import Packed, pack
from ops.target import Target
from testbed.progress import Failure, Progress

POINTER = "current.json"
SUFFIX = ".tar.gz"
SHOWN = 10
"""How many versions are named where one is not there."""


@dataclass(frozen=True)
class Announced:
    """What the pointer says, and the generation of it that says so; 0: there is none."""

    version: str | None
    generation: int


class Shelf:
    """The published versions of one Airflow's DAGs."""

    def __init__(self, bucket: Bucket, prefix: str, seconds: int) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.seconds = seconds

    def url(self, name: str) -> str:
        """An object's address, for people."""
        return f"gs://{self.bucket.name}/{self.prefix}/{name}"

    def tarball(self, version: str) -> Blob | None:
        """The object of a version, if there is one."""
        return self.bucket.get_blob(f"{self.prefix}/{version}{SUFFIX}")

    def versions(self) -> list[str]:
        """All that were published, the newest first."""
        blobs = [blob for blob in self.bucket.list_blobs(prefix=f"{self.prefix}/") if blob.name.endswith(SUFFIX)]
        blobs.sort(key=lambda blob: blob.time_created, reverse=True)
        return [blob.name.removeprefix(f"{self.prefix}/").removesuffix(SUFFIX) for blob in blobs]

    def announced(self) -> Announced:
        """What the pointer says now."""
        name = f"{self.prefix}/{POINTER}"
        blob = self.bucket.get_blob(name)
        if blob is None:
            return Announced(None, 0)
        # By name: the object itself says where it is as its server knows itself, which need not be a name here.
        content = self.bucket.blob(name).download_as_bytes(if_generation_match=blob.generation)
        try:
            version = str(json.loads(content)["version"])
        except (ValueError, TypeError, KeyError):
            version = None  # whatever it says, it is replaced
        return Announced(version, blob.generation or 0)

    def add(self, version: str, packed: Packed) -> tuple[str, bool]:
        """Have the tarball there: its digest, and whether it is new. Refuses other content under the same version."""
        blob = self.bucket.blob(f"{self.prefix}/{version}{SUFFIX}")
        blob.metadata = {"sha256": packed.sha256, "content": packed.content}
        try:
            blob.upload_from_string(packed.data, content_type="application/gzip", if_generation_match=0)
        except PreconditionFailed:
            there = self.tarball(version)
            held = (there.metadata or {}) if there else {}
            if held.get("content") != packed.content or "sha256" not in held:
                raise Failure(
                    f"{self.url(version + SUFFIX)} is there already, with other content; a version never changes.\n"
                    "Mend: commit what is new, which gives it a version of its own, then run the command again."
                ) from None
            return held["sha256"], False
        return packed.sha256, True

    def announce(self, version: str, sha256: str, seen: Announced) -> None:
        """Move the pointer, if it still is what was ``seen``."""
        blob = self.bucket.blob(f"{self.prefix}/{POINTER}")
        blob.cache_control = "no-store"
        text = json.dumps({"version": version, "sha256": sha256})
        try:
            blob.upload_from_string(text, content_type="application/json", if_generation_match=seen.generation)
        except PreconditionFailed:
            now = self.announced().version
            raise Failure(
                f"somebody else moved the pointer in the same moment: it names {now} now; {version} is published, but "
                f"not what new runs get.\nMend: see that {now} may be replaced, then run the command again."
            ) from None


def publish(shelf: Shelf, folder: Path, progress: Progress) -> None:
    """Publish ``folder`` at the version that git says, and make it what new runs get."""
    version, packed = pack(folder)
    with progress.step(f"publishing {folder}"):
        sha256, new = shelf.add(version, packed)
        seen = shelf.announced()
        if seen.version != version:
            shelf.announce(version, sha256, seen)
    print(f"{shelf.url(version + SUFFIX)}: {packed.files} files, {'published' if new else 'was published before'}")
    print(_moved(shelf, seen.version, version))


def rollback(shelf: Shelf, version: str, progress: Progress) -> None:
    """Make an earlier ``version`` what new runs get."""
    with progress.step("moving the pointer"):
        seen = shelf.announced()
        blob = shelf.tarball(version) if version else None
        sha256 = (blob.metadata or {}).get("sha256") if blob else None
        if sha256 is None:
            known = ", ".join(shelf.versions()[:SHOWN]) or "none"
            raise Failure(
                f"there is no version '{version}' in {shelf.url('')}; new runs get {seen.version}.\n"
                f"Mend: VERSION= one of the newest, which are: {known}."
            )
        if seen.version != version:
            shelf.announce(version, sha256, seen)
    print(_moved(shelf, seen.version, version))


def _moved(shelf: Shelf, before: str | None, now: str) -> str:
    if before == now:
        return f"new runs get {now} already"
    return f"new runs get {now} (before: {before or 'nothing'}) within {shelf.seconds} s; runs under way keep theirs"


@contextmanager
def shelf_of(on: Target, airflow: str) -> Iterator[Shelf]:
    """What is published for ``airflow``, the stack's first one by default. Google's refusals become texts."""
    name = on.airflow_named(airflow)
    dags = next(one.dags for one in on.settings.airflows if one.name == name)
    if not isinstance(dags, ArtifactDags):
        raise Failure(
            f"the DAGs of Airflow {name} in stack {on.name} come by kind '{dags.kind}', not from a bucket.\n"
            "Mend: choose kind 'artifact' (docs/dags.md), or deploy them as that kind does."
        )
    google = on.settings.google
    bucket = dags.bucket or dag_bucket_name(google.project if google else "", on.name, name)
    try:
        client = _client(dags.endpoint, google.project if google else None)
        yield Shelf(client.bucket(bucket), dags.prefix, dags.period_seconds)
    except GoogleAuthError as error:
        raise Failure(f"Google does not know you: {error}\nMend: gcloud auth application-default login") from None
    except NotFound:
        raise Failure(f"there is no bucket {bucket}.\nMend: bring the stack up first, it makes it.") from None
    except Forbidden as error:
        raise Failure(
            f"you may not do this in bucket {bucket}: {error.message}\n"
            "Mend: have yourself listed under dags.publishers in the stack file, and bring the stack up."
        ) from None
    except RetryError as error:
        raise Failure(
            f"the store of bucket {bucket} does not answer: {error}\nMend: look whether it can be reached from here."
        ) from None


def _client(endpoint: str | None, project: str | None) -> Client:
    # The variable is Google's own. It goes first: a cluster may know its store by a name that is none here.
    other = os.environ.get("STORAGE_EMULATOR_HOST") or endpoint
    if other is None:
        return Client(project)
    return Client("none", AnonymousCredentials(), client_options={"api_endpoint": other})
