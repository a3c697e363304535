"""Which engine is used, and that nothing but a deployment can reach a cloud."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from testbed.engine import choice as module
from testbed.engine.choice import Operation, Purpose, Refused, attached_names, choose, ensure_safe, environment
from testbed.progress import Failure, Progress

HARMLESS = [Purpose.TEST, Purpose.BENCHMARK, Purpose.OFFLINE_DIFF]
ATTACHED = "kubernetes:1,gcp:2,random:3,tls:4"


@pytest.fixture(autouse=True)
def no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "pulumi_cli", lambda _: tmp_path / "built" / "bin")


def machine(folder: Path, *programs: str, plugins: tuple[str, ...] = ()) -> Mapping[str, str]:
    """The variables of a machine with ``programs`` on PATH and ``plugins`` installed."""
    for program in programs:
        path = folder / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    for plugin in plugins:
        (folder / "home" / "plugins" / f"resource-{plugin}-v1.0.0").mkdir(parents=True)
    return {"PATH": str(folder / "bin"), "PULUMI_HOME": str(folder / "home"), "HOME": str(folder)}


REAL = ("pulumi", "pulumi-language-python")


@pytest.mark.parametrize("purpose", HARMLESS)
def test_everything_but_a_deployment_uses_stand_ins_whatever_is_installed(purpose: Purpose, tmp_path: Path) -> None:
    installed = machine(tmp_path, *REAL, plugins=("gcp", "kubernetes"))
    chosen = choose(purpose, Progress(), environment=installed)
    assert chosen.standins == ("kubernetes", "gcp", "random", "tls")
    assert not chosen.real
    assert not chosen.cli_is_real


def test_a_deployment_uses_the_real_parts_where_they_are_installed(tmp_path: Path) -> None:
    installed = machine(tmp_path, *REAL, plugins=("gcp", "kubernetes"))
    chosen = choose(Purpose.DEPLOY, Progress(), environment=installed)
    assert chosen.cli == tmp_path / "bin"
    assert chosen.real == {"gcp", "kubernetes"}
    assert chosen.standins == ("random", "tls")
    assert chosen.describe().splitlines() == [
        f"engine: pulumi from {tmp_path / 'bin'}",
        "kubernetes: the real plugin",
        "gcp: the real plugin",
        "random: stand-in",
        "tls: stand-in",
    ]


def test_a_deployment_without_a_cloud_runs_on_stand_ins_on_a_bare_machine(tmp_path: Path) -> None:
    chosen = choose(Purpose.DEPLOY, Progress(), needs_cloud=False, environment=machine(tmp_path))
    assert chosen.standins == ("kubernetes", "gcp", "random", "tls")
    assert "built by the testbed" in chosen.describe()


def test_a_deployment_to_a_cloud_is_refused_without_its_plugin(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="pulumi plugin install resource gcp"):
        choose(Purpose.DEPLOY, Progress(), environment=machine(tmp_path, *REAL))


def test_a_cli_without_its_language_host_is_not_used(tmp_path: Path) -> None:
    chosen = choose(Purpose.DEPLOY, Progress(), needs_cloud=False, environment=machine(tmp_path, "pulumi"))
    assert not chosen.cli_is_real


@pytest.mark.parametrize("purpose", HARMLESS)
@pytest.mark.parametrize("operation", [Operation.UP, Operation.DESTROY, Operation.REFRESH, "up"])
def test_the_harness_refuses_to_change_anything_with_a_real_cloud_plugin(
    purpose: Purpose, operation: Operation | str, tmp_path: Path
) -> None:
    chosen = choose(purpose, Progress())
    real = dataclasses.replace(chosen, real=frozenset({"gcp"}))
    with pytest.raises(Refused, match="gcp"):
        ensure_safe(purpose, operation, real, environment(real, tmp_path, ATTACHED))


@pytest.mark.parametrize("left_out", ["gcp", "kubernetes"])
def test_the_harness_refuses_where_the_stand_in_is_not_attached(left_out: str, tmp_path: Path) -> None:
    chosen = choose(Purpose.TEST, Progress())
    attached = ",".join(part for part in ATTACHED.split(",") if not part.startswith(left_out))
    with pytest.raises(Refused, match=left_out):
        ensure_safe(Purpose.TEST, Operation.UP, chosen, environment(chosen, tmp_path, attached))


def test_a_test_with_all_stand_ins_attached_may_change_what_it_likes(tmp_path: Path) -> None:
    chosen = choose(Purpose.TEST, Progress())
    for operation in Operation:
        ensure_safe(Purpose.TEST, operation, chosen, environment(chosen, tmp_path, ATTACHED))


def test_an_engine_that_was_chosen_to_deploy_is_refused_in_a_test(tmp_path: Path) -> None:
    chosen = choose(Purpose.DEPLOY, Progress(), needs_cloud=False, environment=machine(tmp_path))
    with pytest.raises(Refused, match="deploy"):
        ensure_safe(Purpose.TEST, Operation.UP, chosen, {"PULUMI_DEBUG_PROVIDERS": ATTACHED})


CREDENTIALS = {
    "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
    "GOOGLE_CREDENTIALS": "{}",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "t",
    "CLOUDSDK_CORE_PROJECT": "p",
    "CLOUDSDK_CONFIG": "/home/me/.config/gcloud",
    "GCLOUD_PROJECT": "p",
    "PULUMI_ACCESS_TOKEN": "t",
    "HOME": "/home/me",
}


@pytest.mark.parametrize("purpose", HARMLESS)
def test_no_credential_reaches_a_test(purpose: Purpose, tmp_path: Path) -> None:
    variables = {**CREDENTIALS, **environment(choose(purpose, Progress()), tmp_path, ATTACHED, CREDENTIALS)}
    left = {key for key in CREDENTIALS if variables[key]}
    assert left == {"HOME", "CLOUDSDK_CONFIG"}
    assert list(Path(variables["CLOUDSDK_CONFIG"]).iterdir()) == []
    assert Path(variables["PULUMI_HOME"]).is_relative_to(tmp_path)


def test_the_guard_sees_a_credential_that_was_put_back(tmp_path: Path) -> None:
    chosen = choose(Purpose.TEST, Progress())
    variables = {**environment(chosen, tmp_path, ATTACHED), "GOOGLE_CREDENTIALS": "{}"}
    with pytest.raises(Refused, match="GOOGLE_CREDENTIALS"):
        ensure_safe(Purpose.TEST, Operation.PREVIEW, chosen, variables)


def test_a_deployment_keeps_the_users_variables(tmp_path: Path) -> None:
    chosen = choose(Purpose.DEPLOY, Progress(), needs_cloud=False, environment=machine(tmp_path))
    assert not set(environment(chosen, tmp_path, "", CREDENTIALS)) & set(CREDENTIALS)


def test_attached_names_are_read_from_the_variable() -> None:
    assert attached_names({"PULUMI_DEBUG_PROVIDERS": "gcp:1,tls:2"}) == {"gcp", "tls"}
    assert attached_names({}) == set()
