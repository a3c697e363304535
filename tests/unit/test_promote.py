"""Promotion and rollback: two values in a stack file, and nothing else of it."""

import subprocess
from pathlib import Path

import pytest
import yaml

from ops.promote import images, main, promote, rollback, with_image
from ops.stack_file import ROOT
from testbed.progress import Failure

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
BLOCK = """\
# A comment at the top.
config:
  airflow-platform:ephemeral: true
  airflow-platform:airflows:
    - name: main # the only one
      dags:
        kind: image
        version: v1.0.0 # promoted by a pull request
        digest: %s
      taskLogs: { kind: gcs }
    - name: team-b
      dags: { kind: image, version: "v1.0.0" } # no digest
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    write(tmp_path, BLOCK % A)
    git(tmp_path, "init", "--quiet")
    return tmp_path


def path(tree: Path, stack: str = "prod") -> Path:
    return tree / "stacks" / f"Pulumi.{stack}.yaml"


def write(tree: Path, text: str, stack: str = "prod") -> None:
    path(tree, stack).write_text(text, encoding="utf-8")


def git(tree: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@acme.example", *arguments], cwd=tree, check=True
    )


def commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "a promotion")


def said(tree: Path) -> list[tuple[str, str, str]]:
    return [(one.airflow, one.version, one.digest) for one in images(path(tree).read_text(encoding="utf-8"))]


def test_only_the_two_values_change(tree: Path) -> None:
    promote("prod", "main", "v1.1.0", B, tree)
    expected = (BLOCK % B).replace("version: v1.0.0 #", "version: v1.1.0 #")
    assert path(tree).read_text(encoding="utf-8") == expected


def test_every_airflow_of_a_stack_is_promoted_and_a_missing_digest_is_put_beside_the_version(tree: Path) -> None:
    shown = promote("prod", "", "v1.1.0", B, tree)
    assert said(tree) == [("main", "v1.1.0", B), ("team-b", "v1.1.0", B)]
    assert "{ kind: image, version: v1.1.0, digest: sha256:bbb" in path(tree).read_text(encoding="utf-8")
    assert "main: v1.0.0 (sha256:aaaaaaaaaaaa…) -> v1.1.0 (sha256:bbbbbbbbbbbb…)" in shown
    assert "Next: make diff STACK=prod BASE=HEAD" in shown


def test_a_digest_gets_a_line_of_its_own_where_the_version_has_one() -> None:
    text = (BLOCK % A).replace(f"        digest: {A}\n", "")
    changed = with_image(text, ["main"], "v1.1.0", B)
    assert yaml.safe_load(changed)["config"]["airflow-platform:airflows"][0]["dags"] == {
        "kind": "image",
        "version": "v1.1.0",
        "digest": B,
    }
    assert f"        version: v1.1.0 # promoted by a pull request\n        digest: {B}\n" in changed


def test_a_version_that_looks_like_a_number_stays_a_text() -> None:
    changed = with_image(BLOCK % A, ["main"], "1.10", B)
    assert yaml.safe_load(changed)["config"]["airflow-platform:airflows"][0]["dags"]["version"] == "1.10"


@pytest.mark.parametrize("stack", ["dev", "local", "prod", "staging"])
def test_the_projects_own_stack_files_can_be_promoted(stack: str) -> None:
    text = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    names = [one.airflow for one in images(text)]
    assert names
    changed = with_image(text, names, "v9.9.9", B)
    assert {(one.version, one.digest) for one in images(changed)} == {("v9.9.9", B)}
    comments = [line for line in text.splitlines() if line.strip().startswith("#")]
    assert [line for line in changed.splitlines() if line.strip().startswith("#")] == comments


def test_the_digest_that_another_stack_runs_is_taken(tree: Path) -> None:
    write(tree, (BLOCK % B).replace("v1.0.0 #", "v1.1.0 #"), "staging")
    promote("prod", "", "v1.1.0", "", tree)
    assert said(tree) == [("main", "v1.1.0", B), ("team-b", "v1.1.0", B)]


def test_a_rollback_is_what_the_file_said_before(tree: Path) -> None:
    commit(tree)
    promote("prod", "main", "v1.1.0", B, tree)
    commit(tree)
    path(tree).write_text(path(tree).read_text(encoding="utf-8") + "# an unrelated change\n", encoding="utf-8")
    commit(tree)
    shown = rollback("prod", "", tree)
    assert said(tree) == [("main", "v1.0.0", A), ("team-b", "v1.0.0", "")]
    assert "main: v1.1.0 (sha256:bbbbbbbbbbbb…) -> v1.0.0" in shown
    assert path(tree).read_text(encoding="utf-8").endswith("# an unrelated change\n")


def test_a_promotion_that_is_not_committed_is_rolled_back_to_what_is(tree: Path) -> None:
    commit(tree)
    promote("prod", "main", "v1.1.0", B, tree)
    rollback("prod", "main", tree)
    assert said(tree)[0] == ("main", "v1.0.0", A)


def test_where_git_knows_nothing_earlier_nothing_is_written(tree: Path) -> None:
    commit(tree)
    before = path(tree).read_text(encoding="utf-8")
    with pytest.raises(Failure, match=r"git knows no earlier version than v1.0.0.*\nMend: `git fetch --unshallow`"):
        rollback("prod", "", tree)
    assert path(tree).read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--version="], "VERSION="),
        (["--version=v2"], "no stack file has this version"),
        (["--version=v 2", f"--digest={B}"], "VERSION: not of the form of a tag"),
        (["--version=v2", "--digest=sha256:1"], "DIGEST: not of the form"),
        (["--version=v2", f"--digest={B}", "--airflow=x"], "has no Airflow 'x'.\nMend: AIRFLOW= one of main, team-b"),
        (["--version=v2", f"--digest={B}", "--stack=pord"], "no stack 'pord'.\nMend: STACK= one of prod"),
    ],
)
def test_a_mistake_is_said_with_the_mend_and_nothing_is_written(
    tree: Path, arguments: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "--stack=prod", *arguments], tree) == 1
    assert wanted in capsys.readouterr().err
    assert path(tree).read_text(encoding="utf-8") == BLOCK % A


def test_airflows_of_different_images_are_promoted_one_by_one(tree: Path) -> None:
    write(tree, (BLOCK % A).replace('version: "v1.0.0" }', 'version: "v1.0.0", repository: other/dags }'))
    with pytest.raises(Failure, match="run different images"):
        promote("prod", "", "v1.1.0", B, tree)
