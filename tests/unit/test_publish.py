"""Publishing DAGs and going back, against a real object store."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import RetryError
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from ops.__main__ import main
from ops.publish import Announced, Shelf, publish, rollback, shelf_of
from ops.stack_file import StackFile
from ops.tarball import pack
from ops.target import Target
from testbed.object_store import BUCKET, object_store
from testbed.progress import Failure, Progress
from tests.unit.stack_files import ROOT, stack_config

PROGRESS = Progress(out=io.StringIO())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with object_store(Progress()) as found:
        yield found


@pytest.fixture
def shelf(url: str) -> Iterator[Shelf]:
    client = Client("none", AnonymousCredentials(), client_options={"api_endpoint": url})
    yield Shelf(client.bucket(BUCKET), f"test-{uuid.uuid4().hex[:8]}", 30)
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A git repository with DAGs in a folder, and its first tag."""
    made = tmp_path / "repo" / "dags"
    (made / "shared").mkdir(parents=True)
    (made / "dag.py").write_text("one\n")
    (made / "shared" / "module.py").write_text("x = 1\n")
    (made / ".airflowignore").write_text("shared\n")
    git(made, "init", "--quiet")
    commit(made, "v1")
    return made


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", folder, *arguments], check=True, capture_output=True)


def commit(folder: Path, tag: str) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", tag)
    git(folder, "tag", tag)


def pointer(shelf: Shelf) -> Any:
    return json.loads(shelf.bucket.blob(f"{shelf.prefix}/current.json").download_as_bytes())


def test_what_is_published_is_what_airflow_expects_to_find(shelf: Shelf, folder: Path) -> None:
    publish(shelf, folder, PROGRESS)
    blob = shelf.bucket.get_blob(f"{shelf.prefix}/v1.tar.gz")
    assert blob is not None
    data = blob.download_as_bytes(raw_download=True)
    digest = hashlib.sha256(data).hexdigest()
    assert (blob.metadata or {})["sha256"] == digest
    assert pointer(shelf) == {"version": "v1", "sha256": digest}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == [".airflowignore", "dag.py", "shared/module.py"]
        assert {member.mtime for member in archive} == {0}


def test_the_same_commit_is_the_same_tarball_and_publishing_it_again_changes_nothing(
    shelf: Shelf, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pack(folder)
    (folder / "dag.py").touch()
    assert pack(folder) == first
    publish(shelf, folder, PROGRESS)
    seen = shelf.announced()
    publish(shelf, folder, PROGRESS)
    assert shelf.announced() == seen
    assert "was published before\nnew runs get v1 already" in capsys.readouterr().out


def test_another_compression_of_the_same_content_is_the_same_version(shelf: Shelf, folder: Path) -> None:
    version, packed = pack(folder)
    other = gzip.compress(gzip.decompress(packed.data), compresslevel=1, mtime=0)
    assert other != packed.data
    blob = shelf.bucket.blob(f"{shelf.prefix}/{version}.tar.gz")
    blob.metadata = {"sha256": hashlib.sha256(other).hexdigest(), "content": packed.content}
    blob.upload_from_string(other)
    publish(shelf, folder, PROGRESS)
    assert pointer(shelf)["sha256"] == hashlib.sha256(other).hexdigest()


def test_a_version_never_changes(shelf: Shelf, folder: Path) -> None:
    publish(shelf, folder, PROGRESS)
    before = pointer(shelf)
    (folder / "dag.py").write_text("two\n")
    git(folder, "commit", "--quiet", "--all", "--message", "two")
    git(folder, "tag", "--force", "v1")
    with pytest.raises(Failure, match=r"v1.tar.gz is there already, with other content") as refused:
        publish(shelf, folder, PROGRESS)
    assert "Mend: commit what is new" in str(refused.value)
    assert pointer(shelf) == before


def test_going_back_is_moving_the_pointer(shelf: Shelf, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(shelf, folder, PROGRESS)
    first = pointer(shelf)
    (folder / "dag.py").write_text("two\n")
    commit(folder, "v2")
    publish(shelf, folder, PROGRESS)
    assert pointer(shelf)["version"] == "v2"
    rollback(shelf, "v1", PROGRESS)
    assert pointer(shelf) == first
    assert "new runs get v1 (before: v2) within 30 s; runs under way keep theirs" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["", "v3", "current"])
def test_going_back_to_what_is_not_there_names_what_is(shelf: Shelf, folder: Path, version: str) -> None:
    publish(shelf, folder, PROGRESS)
    with pytest.raises(Failure, match=rf"there is no version '{version}'.*new runs get v1") as refused:
        rollback(shelf, version, PROGRESS)
    assert "the newest, which are: v1." in str(refused.value)


def test_a_pointer_that_somebody_else_has_moved_meanwhile_is_left_as_it_is(shelf: Shelf, folder: Path) -> None:
    publish(shelf, folder, PROGRESS)
    with pytest.raises(Failure, match="somebody else moved the pointer in the same moment: it names v1 now; v2 is"):
        shelf.announce("v2", "0", Announced(None, 0))
    seen = shelf.announced()
    shelf.announce("v3", "0", seen)
    with pytest.raises(Failure, match="it names v3 now"):
        shelf.announce("v2", "0", seen)
    assert pointer(shelf)["version"] == "v3"


def test_a_pointer_that_says_nothing_is_replaced(shelf: Shelf, folder: Path) -> None:
    shelf.bucket.blob(f"{shelf.prefix}/current.json").upload_from_string("?")
    publish(shelf, folder, PROGRESS)
    assert pointer(shelf)["version"] == "v1"


def test_what_is_not_committed_is_not_published(folder: Path) -> None:
    (folder / "new.py").write_text("x")
    with pytest.raises(Failure, match=r"is not what is committed.*\n  \?\? new.py\nMend: commit or stash"):
        pack(folder)


def test_what_git_ignores_is_left_out_and_what_changes_beside_the_folder_is_no_matter(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.pyc\n")
    commit(folder, "v2")
    (folder / "x.pyc").write_text("x")
    (folder.parent / "README").write_text("x")
    version, packed = pack(folder)
    assert (version, packed.files) == ("v2", 4)


def test_a_link_is_refused(folder: Path) -> None:
    (folder / "link.py").symlink_to("dag.py")
    commit(folder, "v2")
    with pytest.raises(Failure, match=r"link.py is a link or a submodule; a version holds plain files only"):
        pack(folder)


@pytest.mark.parametrize("where", ["there-is-none", "."])
def test_a_folder_that_is_none_of_gits_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(Failure, match=r"Mend: FOLDER="):
        pack(tmp_path / where)


@pytest.mark.parametrize(
    ("airflow", "said"),
    [("", "come by kind 'image', not from a bucket"), ("nobody", "stack local has no Airflow 'nobody'")],
)
def test_an_airflow_whose_dags_come_otherwise_is_refused(
    airflow: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish-dags", "--stack=local", f"--airflow={airflow}", f"--stacks={ROOT / 'stacks'}"]) == 1
    assert said in capsys.readouterr().err


def test_a_store_that_does_not_answer_is_named() -> None:
    config = stack_config("local")
    artifact = {"kind": "artifact", "bucket": "dags", "endpoint": "http://store.example.com"}
    config["airflows"][0]["dags"] |= artifact
    stack = StackFile("local", config, {}, {})
    with (
        pytest.raises(Failure, match=r"the store of bucket dags does not answer: .*\nMend: look"),
        shelf_of(Target(stack, stack.parsed, None), ""),
    ):
        raise RetryError("Timeout of 120.0s exceeded", None)
