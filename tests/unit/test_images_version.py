"""The DAG image's version follows git's word, and tells two different trees apart."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.images.version import LONGEST, dags_version, fit
from testbed.progress import Failure

Git = Callable[..., str]
AS = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    dags = tmp_path / "dags-image" / "dags"
    dags.mkdir(parents=True)
    (dags / "one.py").write_text("one")
    (tmp_path / "README.md").write_text("read me")
    return tmp_path


@pytest.fixture
def git(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")

    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *AS, *arguments], cwd=repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    run("init", "--quiet")
    return run


@pytest.fixture
def committed(git: Git) -> Git:
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    return git


def test_a_clean_tree_is_named_as_git_describes_it(repo: Path, committed: Git) -> None:
    assert dags_version(repo) == committed("describe", "--always")
    committed("tag", "v0.1.0")
    assert dags_version(repo) == "v0.1.0"


def test_a_commit_after_a_tag_is_counted_from_the_tag(repo: Path, committed: Git) -> None:
    committed("tag", "v0.1.0")
    (repo / "README.md").write_text("changed")
    committed("commit", "--quiet", "--all", "--message", "second")
    assert dags_version(repo) == f"v0.1.0-1-g{committed('rev-parse', '--short', 'HEAD')}"


def test_a_dirty_tree_gets_a_hash_of_what_goes_into_the_image(repo: Path, committed: Git) -> None:
    clean = dags_version(repo)
    (repo / "dags-image/dags/one.py").write_text("changed")
    first = dags_version(repo)
    assert first.startswith(f"{clean}-dirty.")
    (repo / "dags-image/dags/one.py").write_text("changed again")
    assert dags_version(repo) not in (first, clean)
    (repo / "dags-image/dags/one.py").write_text("changed")
    assert dags_version(repo) == first


@pytest.mark.parametrize("change", ["untracked", "deleted", "executable"])
def test_every_kind_of_change_to_the_image_gives_another_version(repo: Path, committed: Git, change: str) -> None:
    (repo / "README.md").write_text("dirty already")
    before = dags_version(repo)
    if change == "untracked":
        (repo / "dags-image/dags/two.py").write_text("two")
    elif change == "deleted":
        (repo / "dags-image/dags/one.py").unlink()
    else:
        (repo / "dags-image/dags/one.py").chmod(0o755)
    assert dags_version(repo) != before


def test_an_ignored_file_changes_nothing(repo: Path, committed: Git) -> None:
    (repo / ".gitignore").write_text("*.pyc\n")
    before = dags_version(repo)
    (repo / "dags-image/dags/one.pyc").write_text("byte code")
    assert dags_version(repo) == before


def test_a_change_elsewhere_makes_the_tree_dirty_but_leaves_the_hash(repo: Path, committed: Git) -> None:
    (repo / "README.md").write_text("changed")
    first = dags_version(repo)
    (repo / "README.md").write_text("changed again")
    assert "-dirty." in first
    assert dags_version(repo) == first


def test_without_a_commit_the_version_is_zero_and_the_hash(repo: Path, git: Git) -> None:
    assert dags_version(repo).startswith("0.0.0-dirty.")


def test_without_git_at_all_the_version_is_zero_and_the_hash(repo: Path) -> None:
    before = dags_version(repo)
    assert before.startswith("0.0.0-dirty.")
    (repo / "dags-image/dags/one.py").write_text("changed")
    assert dags_version(repo) != before


def test_a_repository_that_git_refuses_is_named_with_gits_own_words(repo: Path) -> None:
    (repo / ".git").write_text("gitdir: /nowhere")
    with pytest.raises(Failure, match=r"git ls-files fails in .*not a git repository"):
        dags_version(repo)


@given(st.text(max_size=200), st.sampled_from(["", "-dirty.5f3a9c01"]))
def test_any_name_becomes_a_label_and_a_tag(name: str, suffix: str) -> None:
    version = fit(name, suffix)
    assert 0 < len(version) <= LONGEST
    assert version.isascii()
    assert version[0].isalnum()
    assert version[-1].isalnum()
    assert all(character.isalnum() or character in "_.-" for character in version)
    assert version.endswith(suffix)
