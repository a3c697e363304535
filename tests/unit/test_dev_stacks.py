"""Dev stacks: what may stand on what, and what is refused before anything is made."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.dev_stacks import budget, handed_down
from infra.settings import SettingsError
from ops import dev
from ops.dev_comment import MARKER, text
from ops.dev_comment import main as tell
from ops.dev_config import Asked, checked_name, lasting, refuse_beyond_budget, stack_for
from ops.dev_leases import DevStacks, Lease, stack_of
from ops.dev_source import refuse_missing_ref, tree_at
from ops.stack_file import StackFile
from ops.target import target
from testbed.progress import Failure, Progress
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def is_base(config: Tree) -> None:
    config["devStacks"] = {"connections": 50, "cpu": "2"}


@pytest.fixture(scope="module")
def base() -> Recording:
    return deployed("local", is_base)


@pytest.fixture(scope="module")
def outputs() -> dict[str, Any]:
    asked = settings(changed(stack_config("local"), is_base))
    assert asked.dev_stacks
    return {"devStacks": {"budget": budget(asked.dev_stacks), "config": handed_down(asked, "local", None)}}


def child(outputs: dict[str, Any], name: str = "alice", ref: str = "") -> StackFile:
    return stack_for("local", dev.template(), outputs, Asked(name, "al@x.io", timedelta(hours=8), ref), NOW)


def lease(name: str, connections: int, hours: int = 8) -> Lease:
    ends = NOW + timedelta(hours=hours)
    return Lease(stack_of("local", name), "local", "al@x.io", NOW, ends, connections, 500, {})


def test_the_container_that_hears_requests_has_no_password_and_the_other_one_runs_no_authors_image(
    base: Recording,
) -> None:
    spec = base.one("Deployment", "database-desk-desk").inputs["spec"]["template"]["spec"]
    hear, make = spec["containers"]
    assert "secretKeyRef" not in str(hear)
    assert hear["image"] == "localhost/airflow-platform/dags:latest"
    assert [one["name"] for one in make["env"] if "valueFrom" in one] == ["PGPASSWORD"]
    assert make["image"] != hear["image"]


def test_the_desk_may_list_requests_and_write_its_status_and_nothing_else(base: Recording) -> None:
    role = base.one("Role", "database-desk-hear").inputs
    assert role["metadata"]["namespace"] == "dev-databases"
    assert [(rule["resources"], rule["verbs"]) for rule in role["rules"]] == [
        (["secrets"], ["list"]),
        (["configmaps"], ["patch"]),
    ]


def test_a_stack_without_dev_stacks_has_no_desk() -> None:
    assert "database-desk" not in {one.name for one in deployed("local").resources}


def test_a_dev_stack_is_made_from_the_template_its_base_and_what_was_asked_for(outputs: dict[str, Any]) -> None:
    made = child(outputs)
    assert made.name == "local-dev-alice"
    parsed = made.settings
    (airflow,) = parsed.airflows
    assert (airflow.name, airflow.parallelism) == ("dev-alice", 8)
    assert airflow.dags.version == "latest"
    assert parsed.dev_stack
    assert (parsed.dev_stack.created, parsed.dev_stack.expires) == ("2026-11-25T12:00:00Z", "2026-11-25T20:00:00Z")


@pytest.mark.parametrize("name", ["Alice", "a" * 21, "alice-", "1st", "al_ice", "al.ice"])
def test_a_name_that_is_too_long_or_no_label_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="Nothing was created"):
        checked_name(name)


def test_the_longest_name_still_fits_everything_that_is_named_after_it(outputs: dict[str, Any]) -> None:
    name = checked_name("a" * 20)
    assert child(outputs, name).settings.airflows[0].name == f"dev-{name}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-1h", "in the past"),
        ("0m", "in the past"),
        ("8", "no time"),
        ("soon", "no time"),
        ("31d", "more than 30 days"),
    ],
)
def test_a_time_that_is_none_or_over_is_refused(text: str, says: str) -> None:
    with pytest.raises(Failure, match=says):
        lasting(text)


def test_times_are_minutes_hours_or_days() -> None:
    assert [lasting(text) for text in ("30m", "8h", "2d")] == [
        timedelta(minutes=30),
        timedelta(hours=8),
        timedelta(days=2),
    ]


@pytest.mark.parametrize(("outputs", "says"), [({}, "is not up"), ({"airflows": {}}, "add 'devStacks'")])
def test_a_stack_that_is_no_base_is_refused(outputs: dict[str, Any], says: str) -> None:
    with pytest.raises(Failure, match=says):
        child(outputs)


def test_a_base_that_does_not_exist_is_refused_and_those_that_do_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["up", "--base=nowhere", "--name=alice"]) == 1
    said = capsys.readouterr().err
    assert "there is no stack 'nowhere'" in said
    assert "local" in said


def test_a_used_up_budget_is_refused_with_the_arithmetic(outputs: dict[str, Any]) -> None:
    wanted = child(outputs, "carol").settings
    refuse_beyond_budget("local", outputs, [lease("alice", 10)], wanted, NOW)
    with pytest.raises(Failure) as refused:
        refuse_beyond_budget("local", outputs, [lease("alice", 10), lease("bob", 5, hours=-1)], wanted, NOW)
    text = str(refused.value)
    assert "has 50 database connections for dev stacks" in text
    assert "alice 10 + bob 5, together 15. This one needs 40, which makes 55" in text
    assert "bob: expired" in text


def test_cpus_are_a_budget_too(outputs: dict[str, Any]) -> None:
    wanted = child(outputs, "carol").settings
    with pytest.raises(Failure, match=r"2 CPUs .* alice 0.5 .* needs 0.5, which makes 2.5"):
        refuse_beyond_budget("local", outputs, [lease(n, 1) for n in ("alice", "bob", "cy", "di")], wanted, NOW)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@x.io"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init", "--initial-branch=main")
    (tmp_path / "dag.py").write_text("one")
    git("add", ".")
    git("commit", "-m", "one")
    git("branch", "feature")
    return tmp_path


def test_a_branch_that_is_gone_is_refused(repository: Path) -> None:
    refuse_missing_ref(str(repository), "feature")
    with pytest.raises(Failure, match="no such branch or tag"):
        refuse_missing_ref(str(repository), "gone")
    with pytest.raises(Failure, match="can't be asked"):
        refuse_missing_ref(str(repository / "nowhere"), "main")


def test_an_image_is_built_from_a_branch_in_a_tree_that_goes_again(repository: Path) -> None:
    with tree_at("feature", repository) as tree:
        assert (tree / "dag.py").read_text() == "one"
    assert not tree.exists()
    listed = subprocess.run(
        ["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1
    with pytest.raises(Failure, match="no such branch"), tree_at("gone", repository):
        pass


def problems(stack: str, change: Callable[[Tree], object]) -> str:
    with pytest.raises(SettingsError) as error:
        settings(changed(stack_config(stack), change))
    return str(error.value)


def test_what_stands_on_another_stack_is_a_dev_stack() -> None:
    said = problems("local", lambda config: config.update(cluster={"kind": "stack", "stack": "dev"}))
    assert "cluster: kind 'stack' is for dev stacks" in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(ephemeral=False), "ephemeral: a dev stack is thrown away"),
        (lambda c: c["cluster"].update(stack="prod"), "cluster: a dev stack stands on its base"),
        (lambda c: c["airflows"][0].update(name="main"), "whose name begins with dev-"),
        (lambda c: c.update(secrets={"dev-alice": {"adminPassword": "x"}}), "secrets: a dev stack's settings"),
        (lambda c: c.update(devStacks={"connections": 50, "cpu": "1"}), "is no base for others"),
        (lambda c: c["devStack"].update(expires=c["devStack"]["created"]), "devStack.expires"),
    ],
)
def test_a_dev_stack_that_is_more_than_one_is_refused(
    outputs: dict[str, Any], change: Callable[[Tree], object], says: str
) -> None:
    with pytest.raises(SettingsError) as error:
        settings(changed(child(outputs).config, change))
    assert says in str(error.value)


def test_a_base_keeps_connections_free_for_its_dev_stacks() -> None:
    said = problems("local", lambda config: config.update(devStacks={"connections": 51, "cpu": "2"}))
    assert "devStacks.connections: 51 do not fit: the server has 100" in said
    assert "at least 101" in said


def test_a_bases_own_airflows_are_not_named_like_dev_stacks() -> None:
    def named(config: Tree) -> None:
        is_base(config)
        config["airflows"][0]["name"] = "dev-main"

    assert "names that begin with dev- are those of dev stacks" in problems("local", named)


def test_a_pull_request_is_told_where_its_dev_stack_is_and_that_it_is_gone(outputs: dict[str, Any]) -> None:
    base = target("local", Progress())
    file = child(outputs, "pr-12")
    there = Lease(file.name, "local", "acme/airflow#12", NOW, NOW + timedelta(hours=8), 40, 500, file.config)
    said = text(base, "pr-12", there)
    assert "is up until 2026-11-25T20:00:00Z: https://dev-pr-12.airflow.localhost:8443" in said
    assert "--namespace airflow-dev-pr-12 get secret admin" in said
    gone = text(base, "pr-12", None)
    assert "is gone" in gone
    assert {one.splitlines()[0] for one in (said, gone)} == {MARKER}


@pytest.mark.parametrize("number", ["", "12; true", "#12"])
def test_a_comment_needs_a_pull_requests_number(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(["--name=pr-12", f"--number={number}"]) == 1
    assert "is no pull request" in capsys.readouterr().err


def test_only_one_of_which_nothing_is_there_is_lacking() -> None:
    known = DevStacks([lease("alice", 40)], ["local-dev-bob"])
    assert [known.lacks(f"local-dev-{name}") for name in ("alice", "bob", "carol")] == [False, False, True]
