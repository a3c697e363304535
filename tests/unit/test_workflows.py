"""The workflows, as far as they can be looked at without GitHub: what they may do, what they call."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
Tree = dict[str, Any]
PINNED = re.compile(r"uses: (\./|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d)")


def read(path: Path) -> Tree:
    # `on` is a boolean to YAML 1.1.
    tree: Tree = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return tree


def steps(tree: Tree) -> Iterator[Tree]:
    for job in tree["jobs"].values():
        yield from job.get("steps", [])


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_there_are_workflows() -> None:
    assert {path.stem for path in FILES} >= {"ci", "diff", "comment", "live-preview", "image", "deploy", "drift"}


def test_every_action_is_pinned_by_commit(path: Path) -> None:
    uses = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
    assert uses
    assert [line for line in uses if not PINNED.match(line)] == []


def test_every_workflow_begins_with_no_more_than_reading(path: Path) -> None:
    assert read(path)["permissions"] in ({}, "", {"contents": "read"}, "{}")


def test_nothing_from_outside_is_pasted_into_a_script(path: Path) -> None:
    # A title or branch name with a quote in it would be run. Values come by the environment.
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


def test_what_runs_a_pull_requests_code_may_write_nothing() -> None:
    diff = read(ROOT / ".github" / "workflows" / "diff.yml")
    assert list(diff["on"]) == ["pull_request"]
    assert diff["permissions"] == {"contents": "read"}
    assert all("permissions" not in job and "environment" not in job for job in diff["jobs"].values())
    live = read(ROOT / ".github" / "workflows" / "live-preview.yml")["jobs"]["preview"]
    assert live["environment"] == "${{ matrix.stack }}-preview"
    assert live["permissions"] == {"contents": "read", "id-token": "write"}
    checkouts = [step["with"] for step in live["steps"] if "checkout" in step.get("uses", "")]
    assert all(with_["persist-credentials"] == "false" for with_ in checkouts)


def test_what_comments_runs_no_code_of_a_pull_request() -> None:
    comment = read(ROOT / ".github" / "workflows" / "comment.yml")
    assert list(comment["on"]) == ["workflow_run"]
    (checkout,) = [step for step in steps(comment) if "checkout" in step.get("uses", "")]
    assert "ref" not in checkout["with"]
    assert comment["on"]["workflow_run"]["workflows"] == ["diff", "live-preview"]


def test_a_pull_requests_dev_stack_is_made_by_the_trusted_branchs_program() -> None:
    tree = read(ROOT / ".github" / "workflows" / "dev-stack.yml")
    assert list(tree["on"]) == ["pull_request_target"]
    (checkout,) = [step for step in steps(tree) if "checkout" in step.get("uses", "")]
    assert checkout["with"] == {"persist-credentials": "false"}
    (job,) = tree["jobs"].values()
    assert job["if"].startswith("github.event.pull_request.head.repo.full_name == github.repository &&")


def test_an_update_is_never_cut_off() -> None:
    for name in ("deploy", "deploy-stack", "dev-stack", "dev-sweep"):
        assert "cancel-in-progress" not in (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    assert read(ROOT / ".github" / "workflows" / "deploy.yml")["concurrency"] == {"group": "deploy"}


def test_every_target_that_a_workflow_makes_is_there(path: Path) -> None:
    for step in steps(read(path)):
        for target in re.findall(r"\bmake (?:-\S+ (?:trusted )?)*([a-z./-]+)", step.get("run", "")):
            done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"make {target}: {done.stderr}"


def test_the_targets_hand_on_what_they_are_given() -> None:
    said = subprocess.run(
        ["make", "-n", "diff", "STACK=prod", "BASE=abc", "FORMAT=json", "ALLOW=one,two"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "-m ops.diff --stack=prod --base='abc' --format=json --allow='one,two'" in said


def test_the_engine_in_the_workflows_is_the_sdks() -> None:
    from testbed.engine.cli import PULUMI_VERSION

    versions = {
        step["with"]["pulumi-version"]
        for path in FILES
        for step in steps(read(path))
        if "pulumi/actions" in step.get("uses", "")
    }
    assert versions == {PULUMI_VERSION}
