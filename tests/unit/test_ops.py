"""The commands' own parts: stack files, what they say to mistakes, what they build."""

import re
from pathlib import Path

import pytest
import yaml

from infra.settings import PROJECT, OrganisationStack, Settings
from ops import __main__ as commands
from ops.cluster_view import ClusterView
from ops.kubeconfig import save_kubeconfig
from ops.stack_file import StackFile, read
from ops.target import Target, target
from testbed.progress import Failure, Progress
from tests.unit.stack_files import stack_config

ROOT = Path(__file__).resolve().parents[2]


def write_stack(folder: Path, name: str = "mine", **changes: object) -> None:
    config = {**stack_config("local"), **changes}
    content = {"config": {f"{PROJECT}:{key}": value for key, value in config.items()}}
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def test_a_stack_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    write_stack(tmp_path)
    with pytest.raises(Failure, match=r"there is no stack 'other'.*\nMend: STACK= one of mine"):
        read("other", tmp_path)


def test_a_stack_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.mine.yaml").write_text("config: [", encoding="utf-8")
    with pytest.raises(Failure, match="is not valid YAML"):
        read("mine", tmp_path)


def test_a_mistake_ends_a_command_with_its_text_and_exit_code_1_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stack(tmp_path, airflows=[], colour="blue")
    assert commands.main(["up", "--stack=mine", f"--stacks={tmp_path}"]) == 1
    said = capsys.readouterr().err
    assert "the stack's configuration has 2 problems; nothing was created" in said
    assert "colour: unknown key" in said
    assert "Traceback" not in said


def test_secrets_in_clear_are_refused_unless_the_stack_is_ephemeral(tmp_path: Path) -> None:
    write_stack(tmp_path, ephemeral=False, secrets={"main": {"adminPassword": "hunter2"}})
    with pytest.raises(Failure, match="secrets: stand in clear") as refused:
        target("mine", Progress(), tmp_path)
    assert "hunter2" not in str(refused.value)


def test_secrets_in_clear_never_reach_pulumis_files(tmp_path: Path) -> None:
    write_stack(tmp_path, secrets={"main": {"adminPassword": "hunter2"}})
    file = read("mine", tmp_path)
    assert "hunter2" not in yaml.safe_dump(file.whole_config())
    assert file.plain_secrets == '{"main": {"adminPassword": "hunter2"}}'


def test_secrets_that_pulumi_encrypted_are_left_to_it(tmp_path: Path) -> None:
    write_stack(tmp_path, secrets={"main": {"adminPassword": {"secure": "v1:abc"}}})
    file = read("mine", tmp_path)
    assert file.plain_secrets is None
    assert "v1:abc" in yaml.safe_dump(file.whole_config())
    assert file.settings.airflows[0].name == "main"


def test_the_context_in_the_stack_file_decides_whose_cluster_it_is(tmp_path: Path) -> None:
    write_stack(tmp_path)
    assert target("mine", Progress(), tmp_path).testbed is not None
    write_stack(tmp_path, cluster={"kind": "kubeconfig", "context": "kind-kind"})
    assert target("mine", Progress(), tmp_path).testbed is None


def test_a_cluster_that_is_not_there_is_named_with_the_mend(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    content = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "mine", "context": {"cluster": "c", "user": "u"}}],
    }
    kubeconfig.write_text(yaml.safe_dump(content), encoding="utf-8")
    write_stack(tmp_path, cluster={"kind": "kubeconfig", "context": "mine", "path": str(kubeconfig)})
    with pytest.raises(Failure, match=r"context 'mine' of .* does not answer.*\nMend: start the cluster"):
        ClusterView(target("mine", Progress(), tmp_path)).pods()
    write_stack(tmp_path, cluster={"kind": "kubeconfig", "context": "yours", "path": str(kubeconfig)})
    with pytest.raises(Failure, match=r"no way to the cluster: context 'yours'.*"):
        ClusterView(target("mine", Progress(), tmp_path))


def test_a_password_of_an_airflow_that_does_not_exist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_stack(tmp_path)
    assert commands.main(["password", "--stack=mine", f"--stacks={tmp_path}", "--airflow=other"]) == 1
    assert "has no Airflow 'other'.\nMend: AIRFLOW= one of main" in capsys.readouterr().err


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    schemas = [model.model_json_schema(by_alias=True) for model in (Settings, OrganisationStack)]
    models = [model for schema in schemas for model in (schema, *schema["$defs"].values())]
    names = {name for model in models for name in model.get("properties", {})}
    assert len(names) > 100
    assert (
        sorted(name for name in names if not re.search(rf"`([a-z<>]+\.)*{name}[`.:]|^#.*\b{name}\b", text, re.M)) == []
    )


def cloud_target(monkeypatch: pytest.MonkeyPatch, home: Path) -> Target:
    monkeypatch.setenv("AIRFLOW_PLATFORM_STATE", str(home))
    file = StackFile("prod", stack_config("prod"), {}, {})
    return Target(file, file.parsed, None)


def test_the_kubeconfig_of_a_cluster_made_here_is_kept_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = cloud_target(monkeypatch, tmp_path)
    save_kubeconfig(chosen, {"kubeconfig": "the way"})
    save_kubeconfig(chosen, {"kubeconfig": "the new way"})
    assert chosen.kubeconfig is not None
    assert chosen.kubeconfig.read_text() == "the new way"
    assert chosen.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert chosen.context == "prod"
    assert chosen.on_google


def test_a_stack_that_was_never_up_has_no_kubeconfig_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Failure, match="has no cluster yet") as refused:
        save_kubeconfig(cloud_target(monkeypatch, tmp_path), {})
    assert "Mend: bring it up with `pulumi up -s prod`" in str(refused.value)


def test_the_commands_for_an_airflow_refuse_the_bootstrap_and_say_what_to_use() -> None:
    with pytest.raises(Failure, match="is the bootstrap of an organisation") as refused:
        _ = StackFile("bootstrap", stack_config("bootstrap"), {}, {}).settings
    assert "Mend: `pulumi up -s bootstrap`" in str(refused.value)


def test_secrets_that_only_pulumi_can_read_count_as_given(tmp_path: Path) -> None:
    secret = {"secure": "v1:abc"}
    airflow = stack_config("local")["airflows"][0]
    logs = {"kind": "elasticsearch", "url": "https://logs.example.com"}
    git = {"repository": "git@github.com:acme/dags.git", "knownHosts": ["github.com ssh-ed25519 AAAA"]}
    dags = {"kind": "git-sync", "repository": "acme/dags", "version": "1", "git": git}
    keys = ("elasticsearchUser", "elasticsearchPassword", "fernetKey", "gitSshKey")
    write_stack(
        tmp_path,
        airflows=[{**airflow, "taskLogs": logs, "dags": dags}],
        secrets={"main": dict.fromkeys(keys, secret)},
    )
    assert read("mine", tmp_path).settings.airflows[0].name == "main"


def test_secrets_that_are_encrypted_in_one_piece_are_left_to_pulumi(tmp_path: Path) -> None:
    write_stack(tmp_path, secrets={"secure": "v1:abc"})
    assert read("mine", tmp_path).settings.secrets == {}


@pytest.mark.parametrize("written", [True, "true"])
def test_a_stack_file_that_pulumi_has_rewritten_means_the_same(tmp_path: Path, written: object) -> None:
    # `pulumi stack init` turns true into the text "true".
    write_stack(tmp_path, ephemeral=written, secrets={"main": {"jwtSecret": "mine"}})
    assert read("mine", tmp_path).settings.ephemeral


def test_the_text_false_is_not_taken_for_true(tmp_path: Path) -> None:
    write_stack(tmp_path, ephemeral="false", secrets={"main": {"jwtSecret": "mine"}})
    with pytest.raises(Failure, match="stand in clear"):
        _ = read("mine", tmp_path).settings
