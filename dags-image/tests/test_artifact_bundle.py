"""DAGs as tarballs in a bucket, against a real object store: `make test-dags` starts one."""

import hashlib
import io
import json
import os
import tarfile
import threading
import time
import uuid
from pathlib import Path

import pytest
from airflow.dag_processing.bundles import base
from airflow_platform_bundles.artifact import ArtifactDagBundle, ArtifactError
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket, Client

BUCKET = "dags-test"
URL = os.environ.get("STORAGE_EMULATOR_HOST", "")

pytestmark = pytest.mark.skipif(not URL, reason="no object store: STORAGE_EMULATOR_HOST is not set (make test-dags)")


class Shelf:
    """A prefix of the bucket, and bundles that read from it; each ``pod`` has a disk of its own."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.prefix = f"test-{uuid.uuid4().hex[:8]}"

    def bundle(self, version: str | None = None) -> ArtifactDagBundle:
        return ArtifactDagBundle(name="dags", bucket=BUCKET, prefix=self.prefix, endpoint=URL, version=version)

    def put(self, version: str, content: bytes, sha256: str | None = None) -> str:
        digest = hashlib.sha256(content).hexdigest()
        blob = self.bucket.blob(f"{self.prefix}/{version}.tar.gz")
        blob.metadata = {"sha256": sha256 or digest}
        blob.upload_from_string(content, content_type="application/gzip")
        return digest

    def announce(self, text: object) -> None:
        said = text if isinstance(text, str) else json.dumps(text)
        self.bucket.blob(f"{self.prefix}/current.json").upload_from_string(said)

    def publish(self, version: str, **files: str) -> None:
        self.announce({"version": version, "sha256": self.put(version, tarball(files or {"dag": version}))})


def tarball(files: dict[str, str], *extra: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{name}.py")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for member in extra:
            archive.addfile(member)
    return packed.getvalue()


@pytest.fixture(scope="module")
def bucket() -> Bucket:
    return Client("none", AnonymousCredentials(), client_options={"api_endpoint": URL}).bucket(BUCKET)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's own disk, empty."""
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path))
    monkeypatch.setattr(base, "STALE_BUNDLE_TRACKING_FOLDER", tmp_path / "_tracking")
    return tmp_path


@pytest.fixture
def shelf(bucket: Bucket, pod: Path) -> Shelf:
    del pod
    return Shelf(bucket)


def current(bundle: ArtifactDagBundle) -> str:
    version = bundle.get_current_version()
    assert version is not None
    return version.version


def text(bundle: ArtifactDagBundle) -> str:
    return (bundle.path / "dag.py").read_text()


def test_the_newest_version_is_the_one_that_the_pointer_names(shelf: Shelf) -> None:
    shelf.publish("v1")
    bundle = shelf.bundle()
    bundle.initialize()
    path = bundle.path
    assert (current(bundle), text(bundle)) == ("v1", "v1")
    shelf.publish("v2")
    assert text(bundle) == "v1"
    bundle.refresh()
    assert (current(bundle), text(bundle)) == ("v2", "v2")
    assert bundle.path == path


def test_a_run_keeps_the_version_that_it_began_with_and_another_pod_can_fetch_it(shelf: Shelf) -> None:
    shelf.publish("v1")
    shelf.publish("v2")
    old = shelf.bundle("v1")
    old.initialize()
    assert (current(old), text(old)) == ("v1", "v1")
    with pytest.raises(ArtifactError, match="tied to version v1"):
        old.refresh()


def test_rolling_back_is_moving_the_pointer(shelf: Shelf) -> None:
    shelf.publish("v1")
    digest = hashlib.sha256(tarball({"dag": "v1"})).hexdigest()
    shelf.publish("v2")
    bundle = shelf.bundle()
    bundle.initialize()
    shelf.bundle("v1").initialize()
    os.utime(shelf.bundle("v1").path / "dag.py", (0, 0))
    shelf.announce({"version": "v1", "sha256": digest})
    moved = time.time()
    bundle.refresh()
    assert (current(bundle), text(bundle)) == ("v1", "v1")
    assert (bundle.path / "dag.py").stat().st_mtime >= moved - 1  # or the dag-processor would read it later


def test_a_file_that_a_version_no_longer_has_is_gone(shelf: Shelf) -> None:
    shelf.publish("v1", dag="one", other="two")
    bundle = shelf.bundle()
    bundle.initialize()
    shelf.publish("v2", dag="one")
    bundle.refresh()
    assert not (bundle.path / "other.py").exists()


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("no json", "does not say a version and its sha256"),
        ('{"version": "v2"}', "does not say a version and its sha256"),
        ('["v2"]', "does not say a version and its sha256"),
        ('{"version": "../v2", "sha256": "x"}', "'../v2' is no version"),
        ('{"version": "never", "sha256": "x"}', r"there is no gs://dags-test/.*/never.tar.gz: version never was never"),
    ],
)
def test_a_pointer_to_nothing_is_refused_and_the_last_good_version_stays(shelf: Shelf, said: str, problem: str) -> None:
    shelf.publish("v1")
    bundle = shelf.bundle()
    bundle.initialize()
    shelf.announce(said)
    with pytest.raises(ArtifactError, match=problem):
        bundle.refresh()
    assert (current(bundle), text(bundle)) == ("v1", "v1")
    restarted = shelf.bundle()
    restarted.initialize()
    assert text(restarted) == "v1"


def test_a_tarball_that_is_not_the_announced_one_is_refused_and_the_last_good_version_stays(shelf: Shelf) -> None:
    shelf.publish("v1")
    bundle = shelf.bundle()
    bundle.initialize()
    shelf.put("v2", tarball({"dag": "v2"}))
    shelf.announce({"version": "v2", "sha256": "0" * 64})
    with pytest.raises(ArtifactError, match=r"v2.tar.gz is not what was announced: its sha256 is [0-9a-f]{64}, not 0"):
        bundle.refresh()
    assert text(bundle) == "v1"


def test_a_tarball_that_was_damaged_is_refused_for_a_run_that_is_tied_to_it(shelf: Shelf) -> None:
    good = tarball({"dag": "v1"})
    shelf.put("v1", good[:-20], sha256=hashlib.sha256(good).hexdigest())
    with pytest.raises(ArtifactError, match="is not what was announced"):
        shelf.bundle("v1").initialize()
    shelf.put("v2", good[:-20])
    with pytest.raises(ArtifactError, match=r"v2.tar.gz can't be unpacked"):
        shelf.bundle("v2").initialize()
    assert not shelf.bundle("v2").path.exists()
    shelf.put("v2", good)
    shelf.bundle("v2").initialize()


def test_a_version_that_changed_after_it_was_announced_is_refused(shelf: Shelf) -> None:
    shelf.publish("v1", dag="first")
    bundle = shelf.bundle()
    bundle.initialize()
    shelf.publish("v1", dag="second")
    with pytest.raises(ArtifactError, match="a version never changes"):
        bundle.refresh()
    assert text(bundle) == "first"


def test_without_anything_published_it_says_so(shelf: Shelf) -> None:
    with pytest.raises(ArtifactError, match=r"there is no gs://dags-test/.*/current.json: no DAGs have been published"):
        shelf.bundle().initialize()
    assert shelf.bundle().get_current_version() is None


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("/etc/cron.d/x"),
        tarfile.TarInfo("../x.py"),
        tarfile.TarInfo("a/../../x.py"),
        link("x.py", "/etc/passwd"),
        link("x.py", "dag.py", tarfile.LNKTYPE),
        link("x.py", "", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} of type {member.type.decode()}",
)
def test_a_tarball_that_would_write_elsewhere_is_refused(shelf: Shelf, member: tarfile.TarInfo) -> None:
    shelf.put("v1", tarball({"dag": "v1"}, member))
    with pytest.raises(ArtifactError, match="is no plain file or folder below the tarball's top"):
        shelf.bundle("v1").initialize()


def test_many_processes_at_once_get_the_same_whole_version(shelf: Shelf) -> None:
    shelf.publish("v1", **{f"module_{number}": "x = 1\n" * 500 for number in range(200)})
    found: list[int] = []

    def read() -> None:
        bundle = shelf.bundle("v1")
        bundle.initialize()
        found.append(len(list(bundle.path.glob("*.py"))))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 8


def test_what_a_killed_process_left_behind_is_cleared_away(shelf: Shelf, pod: Path) -> None:
    half = pod / "dags" / ".unpacking-killed"
    half.mkdir(parents=True)
    shelf.publish("v1")
    shelf.bundle().initialize()
    assert not half.exists()


def test_versions_that_the_pointer_left_behind_go_after_a_while_and_those_that_tasks_use_stay(
    shelf: Shelf, pod: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_MIN_VERSIONS", "2")
    used = base.get_bundle_tracking_file("dags", "v2")
    used.parent.mkdir(parents=True)
    used.write_text("2026-01-01T00:00:00Z")
    bundle = shelf.bundle()
    for number in range(1, 6):
        shelf.publish(f"v{number}")
        bundle.initialize()
        age = time.time() - 100_000 + number
        os.utime(pod / "dags" / "versions" / f"v{number}", (age, age))
    shelf.publish("v6")
    bundle.refresh()
    assert {folder.name for folder in (pod / "dags" / "versions").iterdir()} == {"v2", "v5", "v6"}
