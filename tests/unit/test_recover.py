"""Dumps and recoveries without a cluster: what they refuse, what they make of the platform's own Jobs."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from components.airflow.configuration import script
from infra.settings import PROJECT
from ops import __main__ as commands
from ops import dump as dumping
from ops.cluster_work import JOB_SECONDS, ClusterWork, job_again
from ops.database import UNFINISHED, Contents, DatabaseTools, Place, place_of, tools_pod
from ops.engine import Engine
from ops.pod_exec import Ended
from ops.recovery_inputs import checked_inputs
from ops.stack_key import generated_keys, keep_key, with_types_of
from ops.target import Target, target
from testbed.progress import Failure, Progress
from tests.unit.stack_files import deployed, stack_config

KEY = "A" * 43 + "="
OLDER = "b" * 43 + "="
Tree = dict[str, Any]


def stack(folder: Path, **changes: object) -> Target:
    config = {**stack_config("local"), **changes}
    content = {"config": {f"{PROJECT}:{key}": value for key, value in config.items()}}
    (folder / "Pulumi.mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return target("mine", Progress(), folder)


def dump_file(folder: Path, content: bytes = b"PGDMP and more") -> str:
    (folder / "main.dump").write_bytes(content)
    return str(folder / "main.dump")


def keys_file(folder: Path, content: object) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "keys.json").write_text(text, encoding="utf-8")
    return str(folder / "keys.json")


def bootstrap_job(stack: str) -> Tree:
    """The bootstrap Job as the program registers it, and as the Job controller then labels its pods."""
    made = deployed(stack).one("Job", "main-database-bootstrap").inputs
    job: Tree = json.loads(json.dumps({"metadata": made["metadata"], "spec": made["spec"], "status": {"succeeded": 1}}))
    job["spec"]["template"]["metadata"]["labels"] |= {
        "batch.kubernetes.io/controller-uid": "x",
        "batch.kubernetes.io/job-name": "x",
        "controller-uid": "x",
        "job-name": "x",
    }
    return job


class Finds:
    """A cluster in which one Job is found."""

    def __init__(self, job: Tree | None) -> None:
        self._job = job

    def job(self, _airflow: str, _component: str) -> Tree | None:
        return self._job


def place(stack: str = "local") -> Place:
    found = place_of(cast(ClusterWork, Finds(bootstrap_job(stack))), "main")
    assert found
    return found


# what is refused


def test_everything_that_is_wrong_with_what_was_given_is_said_at_once_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack(tmp_path)
    given = ["--airflow=other", f"--dump={dump_file(tmp_path, b'SELECT 1')}", f"--keys={tmp_path / 'none.json'}"]
    assert commands.main(["recover", "--stack=mine", f"--stacks={tmp_path}", *given]) == 1
    said = capsys.readouterr().err
    assert "recover was given 3 problems; nothing was touched" in said
    assert "main.dump is not in the custom format of pg_dump" in said
    assert "none.json can't be read: No such file" in said
    assert "AIRFLOW: stack mine has no Airflow 'other'. Mend: one of main" in said
    assert said.count("Mend:") == 3
    assert commands.main(["recover", "--stack=mine", f"--stacks={tmp_path}"]) == 1
    assert "2 problems" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ([KEY], "does not have the form"),
        ({"fernetKey": KEY, "colour": "blue"}, "does not have the form"),
        ({"fernetKey": ""}, "key 1 of 1 is not a Fernet key"),
        ({"fernetKey": f"{KEY},hunter2,{OLDER},hunter3"}, "key 2, 4 of 4 is not a Fernet key"),
        ({"fernetKey": f"{KEY[:-1]}"}, "key 1 of 1 is not a Fernet key"),
    ],
)
def test_keys_that_cannot_be_are_refused_by_their_place_and_never_shown(
    tmp_path: Path, content: object, said: str
) -> None:
    with pytest.raises(Failure, match="1 problem;") as refused:
        checked_inputs(stack(tmp_path), "", dump_file(tmp_path), keys_file(tmp_path, content))
    assert said in str(refused.value)
    assert "hunter" not in str(refused.value)
    assert KEY[:-1] not in str(refused.value)


def test_keys_keep_their_order_and_are_not_shown_with_the_inputs(tmp_path: Path) -> None:
    keys = keys_file(tmp_path, {"fernetKey": f"{KEY}, {OLDER}\n"})
    inputs = checked_inputs(stack(tmp_path), "", dump_file(tmp_path), keys)
    assert (inputs.airflow, inputs.keys) == ("main", f"{KEY},{OLDER}")
    assert KEY not in repr(inputs)


def test_a_key_does_not_join_secrets_that_stand_in_clear(tmp_path: Path) -> None:
    given = (dump_file(tmp_path), keys_file(tmp_path, {"fernetKey": KEY}))
    with pytest.raises(Failure, match="secrets: stand in clear in the stack file of mine"):
        checked_inputs(stack(tmp_path, secrets={"main": {"adminPassword": "hunter2"}}), "", *given)
    with pytest.raises(Failure, match=r"secrets\.main\.fernetKey: stands in clear .* is not what KEYS holds"):
        checked_inputs(stack(tmp_path, secrets={"main": {"fernetKey": OLDER}}), "", *given)
    same = stack(tmp_path, secrets={"main": {"fernetKey": KEY, "adminPassword": "hunter2"}})
    assert checked_inputs(same, "", *given).keys == KEY


def test_only_a_database_with_nothing_in_it_is_replaced_or_one_from_an_unfinished_recovery() -> None:
    assert Contents().fresh
    assert not Contents(dag_runs=1).fresh
    assert not Contents(connections=1).fresh
    assert not Contents(variables=1).fresh
    assert Contents(1, 1, 1, unfinished=True).fresh


def test_down_says_what_goes_with_the_passphrase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def on(encryption: Tree) -> Target:
        cluster = SimpleNamespace(down=lambda delete: delete)
        file = SimpleNamespace(encryption=encryption)
        return cast(Target, SimpleNamespace(testbed=cluster, home=tmp_path / "home", stack=file, name="mine"))

    commands.down(on({}), Progress(), delete=True)
    assert "encrypted" not in capsys.readouterr().out
    commands.down(on({"encryptionsalt": "v1:x"}), Progress(), delete=True)
    assert "take `encryptionsalt` and everything with `secure:` out" in capsys.readouterr().out


# the stack's key


def test_pulumi_turns_no_switch_of_the_stack_file_into_text() -> None:
    before = "config:\n  p:ephemeral: true # kept\n  p:limit: 3\n  p:name: 'true'\n  p:deep: {spot: true}\n"
    written = 'config:\n  p:ephemeral: "true" # kept\n  p:limit: "3"\n  p:name: "true"\n  p:deep: {spot: true}\n'
    after = with_types_of(before, written)
    assert after == 'config:\n  p:ephemeral: true # kept\n  p:limit: 3\n  p:name: "true"\n  p:deep: {spot: true}\n'


def test_the_key_that_a_stack_has_made_itself_is_found_in_its_state() -> None:
    def state(**more: object) -> str:
        urn = (
            "urn:pulumi:mine::p::airflow-platform:airflow:Airflow$random:index/randomBytes:RandomBytes::main-fernet-key"
        )
        key = {"type": "random:index/randomBytes:RandomBytes", "urn": urn, **more}
        other = {"type": "random:index/randomPassword:RandomPassword", "urn": "urn::x::main-fernet-key"}
        return json.dumps({"version": 3, "deployment": {"resources": [other, key]}})

    urn = json.loads(state())["deployment"]["resources"][1]["urn"]
    assert generated_keys(state(), "main") == [{"urn": urn, "protect": False}]
    assert [key["protect"] for key in generated_keys(state(protect=True), "main")] == [True]
    assert generated_keys(state(), "other") == []
    assert generated_keys('{"version": 3, "deployment": {}}', "main") == []


def test_what_the_stack_file_puts_into_a_new_airflow_does_not_count_as_content() -> None:
    marks = re.findall(r'^MARK = "(.+)"$', script("reconcile.py"), re.M)
    assert len(marks) == 1
    query = (Path(commands.__file__).parent / "database.py").read_text(encoding="utf-8")
    assert query.count(f"NOT LIKE '%{marks[0]}'") == 2


def test_every_key_that_rotations_have_made_must_be_let_go_before_given_ones_take_their_place(tmp_path: Path) -> None:
    kind = "random:index/randomBytes:RandomBytes"
    names = ["main-fernet-key", "main-fernet-key-1", "main-fernet-key-12", "main-fernet-key-x", "other-main-fernet-key"]
    resources = [{"type": kind, "urn": f"urn::{name}", "protect": True} for name in names]
    state = json.dumps({"version": 3, "deployment": {"resources": resources}})
    engine = cast(Engine, SimpleNamespace(target=stack(tmp_path), exported=lambda: state))
    inputs = checked_inputs(engine.target, "", dump_file(tmp_path), keys_file(tmp_path, {"fernetKey": KEY}))
    with pytest.raises(Failure) as caught:
        keep_key(engine, inputs, None, tmp_path / "Pulumi.mine.yaml")
    assert re.findall(r"unprotect 'urn::([^']+)'", str(caught.value)) == names[:3]


def test_given_keys_and_rotations_do_not_go_together(tmp_path: Path) -> None:
    airflow = {**stack_config("local")["airflows"][0], "rotations": {"fernetKey": 1}}
    engine = cast(
        Engine, SimpleNamespace(target=stack(tmp_path, airflows=[airflow]), exported=lambda: '{"deployment": {}}')
    )
    inputs = checked_inputs(engine.target, "", dump_file(tmp_path), keys_file(tmp_path, {"fernetKey": KEY}))
    with pytest.raises(Failure, match="take fernetKey and fernetKeyInUse out"):
        keep_key(engine, inputs, None, tmp_path / "Pulumi.mine.yaml")


def test_a_key_that_the_stack_made_and_protects_gives_way_to_the_same_one_only(tmp_path: Path) -> None:
    resource = {"type": "random:index/randomBytes:RandomBytes", "urn": "urn::main-fernet-key", "protect": True}
    state = json.dumps({"version": 3, "deployment": {"resources": [resource]}})
    chosen = stack(tmp_path)
    engine = cast(Engine, SimpleNamespace(target=chosen, exported=lambda: state))
    inputs = checked_inputs(chosen, "", dump_file(tmp_path), keys_file(tmp_path, {"fernetKey": KEY}))
    file = tmp_path / "Pulumi.mine.yaml"
    before = file.read_text(encoding="utf-8")
    assert not keep_key(engine, inputs, KEY, file)
    for present in (None, OLDER):
        with pytest.raises(Failure, match="pulumi state unprotect 'urn::main-fernet-key' --stack mine") as refused:
            keep_key(engine, inputs, present, file)
        assert KEY not in str(refused.value)
    assert file.read_text(encoding="utf-8") == before


# what is made of the platform's Jobs


@pytest.mark.parametrize(("stack", "namespace"), [("local", "postgresql"), ("prod", "database")])
def test_the_tools_have_the_bootstraps_way_to_the_database_and_not_the_roles_password(
    stack: str, namespace: str
) -> None:
    at = place(stack)
    assert (at.namespace, at.role, at.database) == (namespace, "airflow_main", "airflow_main")
    pod = tools_pod(at)
    (container,) = pod["spec"]["containers"]
    (before,) = at.job["spec"]["template"]["spec"]["containers"]
    assert pod["metadata"]["namespace"] == namespace
    assert pod["metadata"]["labels"]["airflow-platform/database-client"] == "true"
    assert container["image"] == before["image"]
    assert container["env"] == before["env"]
    assert container["securityContext"] == before["securityContext"]
    assert pod["spec"]["serviceAccountName"] == at.job["spec"]["template"]["spec"]["serviceAccountName"]
    assert pod["spec"]["initContainers" if stack == "prod" else "containers"][0]["name"] == (
        "cloud-sql-proxy" if stack == "prod" else "tools"
    )
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["tmp"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert pod["spec"]["activeDeadlineSeconds"] > 0
    assert "psql" not in json.dumps(container["command"])


def test_the_job_controller_does_not_take_the_tools_for_a_jobs_pod_nor_we_a_copy_for_the_platforms_job() -> None:
    job = bootstrap_job("local")
    for labels in (
        tools_pod(place())["metadata"]["labels"],
        job_again(job, None)["spec"]["template"]["metadata"]["labels"],
    ):
        assert not [key for key in labels if "job-name" in key or "controller-uid" in key]
        assert labels["app.kubernetes.io/component"] != "database-bootstrap"
        assert labels["app.kubernetes.io/part-of"] == "airflow-platform"


def test_no_place_is_named_before_the_database_has_been_made() -> None:
    assert place_of(cast(ClusterWork, Finds(None)), "main") is None
    unfinished = {**bootstrap_job("local"), "status": {"active": 1}}
    assert place_of(cast(ClusterWork, Finds(unfinished)), "main") is None


def test_a_job_runs_again_under_another_name_once_and_with_another_command_if_one_is_given() -> None:
    made = deployed("local").one("Job", "main-migrate").inputs
    job = {"metadata": made["metadata"], "spec": made["spec"]}
    (before,) = job["spec"]["template"]["spec"]["containers"]
    same, other = job_again(job, None), job_again(job, ["python", "-c", "pass"])
    assert same["spec"]["template"]["spec"]["containers"][0]["command"] == before["command"]
    assert other["spec"]["template"]["spec"]["containers"][0]["command"] == [
        *("/usr/bin/dumb-init", "--"),
        *("python", "-c", "pass"),
    ]
    assert other["metadata"]["name"].startswith("recover-migrate-")
    assert other["metadata"]["name"] != same["metadata"]["name"]
    assert other["spec"]["backoffLimit"] == 0
    assert other["spec"]["activeDeadlineSeconds"] == JOB_SECONDS
    assert before["command"][2] == "python"  # the one it was made from is untouched


# the dump


class Answers:
    """A pod that prints ``output`` and says ``said``."""

    def __init__(self, output: bytes, said: str, code: int = 0) -> None:
        self._output, self._ended = output, Ended(code, said)
        self.commands: list[Sequence[str]] = []

    def run(self, _namespace: str, _pod: str, command: Sequence[str], **streams: Any) -> Ended:
        self.commands.append(command)
        if "receive" in streams:
            streams["receive"](self._output)
        return self._ended


def tools(answers: Answers) -> DatabaseTools:
    return DatabaseTools(cast(ClusterWork, answers), Place("postgresql", "airflow_main", "airflow_main", {}), "tools")


def test_a_dump_that_did_not_arrive_whole_is_noticed() -> None:
    whole = b"PGDMP all of it"
    digest = hashlib.sha256(whole).hexdigest()
    tools(Answers(whole, f"a warning\n{digest}  -")).dump(lambda _: None)
    with pytest.raises(Failure, match="did not arrive whole"):
        tools(Answers(whole[:-1], f"{digest}  -")).dump(lambda _: None)
    with pytest.raises(Failure, match="did not arrive whole"):
        tools(Answers(whole, "")).dump(lambda _: None)
    with pytest.raises(Failure, match=r"pg_dump did not succeed \(exit code 1\):\n  no room"):
        tools(Answers(b"", "no room", 1)).dump(lambda _: None)


def test_what_a_database_holds_is_read_from_what_psql_prints() -> None:
    printed = b"dag_run|12\nconnection|3\nvariable|0\ncomment|\n"
    assert tools(Answers(printed, "")).contents() == Contents(12, 3, 0)
    assert tools(Answers(f"comment|{UNFINISHED}\n".encode(), "")).contents() == Contents(unfinished=True)


def test_a_dump_takes_its_files_place_whole_and_readable_by_its_owner_only_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bytes] = [b"PGDMP", b" new"]

    class Tools:
        def dump(self, receive: Callable[[bytes], object]) -> None:
            for piece in pieces:
                if not piece:
                    raise KeyboardInterrupt
                receive(piece)

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def pod(*_: object) -> Iterator[Tools]:
        yield Tools()

    monkeypatch.setattr(dumping, "ClusterWork", lambda *_: None)
    monkeypatch.setattr(dumping, "place_of", lambda *_: place())
    monkeypatch.setattr(dumping, "database_tools", pod)
    file = tmp_path / "main.dump"
    file.write_text("old")
    chosen = stack(tmp_path)
    pieces.append(b"")
    with pytest.raises(KeyboardInterrupt):
        dumping.dump(chosen, "", str(file), Progress())
    assert file.read_text() == "old"
    pieces[:] = [b"no dump"]
    with pytest.raises(Failure, match="does not begin with PGDMP"):
        dumping.dump(chosen, "", str(file), Progress())
    assert file.read_text() == "old"
    with monkeypatch.context() as full:
        full.setattr(os, "write", no_room)
        with pytest.raises(Failure, match=r"can't be written: No space left"):
            dumping.dump(chosen, "", str(file), Progress())
    pieces[:] = [b"PGDMP", b" new"]
    dumping.dump(chosen, "", str(file), Progress())
    assert file.read_text() == "PGDMP new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Pulumi.mine.yaml", "main.dump"]


def test_a_dump_with_nowhere_to_go_is_refused_before_the_cluster_is_asked(tmp_path: Path) -> None:
    chosen = stack(tmp_path)
    for file, said in (("", "FILE: is not given"), (str(tmp_path), "can't be written"), ("/none/x.dump", "can't be")):
        with pytest.raises(Failure, match=said):
            dumping.dump(chosen, "", file, Progress())
    with pytest.raises(Failure, match=r"no Airflow 'other'\.\nMend: AIRFLOW= one of main"):
        dumping.dump(chosen, "other", str(tmp_path / "x.dump"), Progress())
