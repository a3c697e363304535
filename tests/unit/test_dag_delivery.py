"""How DAGs come to what reads them: git-sync beside the dag-processor, before a task, and with which login."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_environment import airflow_cfg, leaves, pods

TOKEN = "ghp_0123456789+/abc"
HOST_KEY = "git.acme.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGitKey"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SSH = "git@git.acme.example:data/airflow-dags.git"


def openssh_key(cipher: bytes = b"none") -> str:
    """A file in the form of OpenSSH's keys; there is no key in it."""
    content = b"openssh-key-v1\0" + len(cipher).to_bytes(4, "big") + cipher + b"rest"
    body = base64.b64encode(content).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----"


def first(tree: Tree) -> Tree:
    found: Tree = tree["airflows"][0]
    return found


def git(tree: Tree) -> Tree:
    found: Tree = first(tree)["dags"]["git"]
    return found


def given(**secrets: object) -> Callable[[Tree], object]:
    return lambda tree: tree.update(secrets={"main": secrets})


def over_ssh(tree: Tree) -> None:
    git(tree).update(repository=SSH, knownHosts=[HOST_KEY])
    tree["secrets"] = {"main": {"gitSshKey": openssh_key()}}


def local_executor(tree: Tree) -> None:
    first(tree)["executor"] = "LocalExecutor"


@pytest.fixture(scope="module")
def public() -> Recording:
    return deployed("dev")


@pytest.fixture(scope="module")
def private() -> Recording:
    return deployed("dev", given(gitToken=TOKEN))


@pytest.fixture(scope="module")
def by_ssh() -> Recording:
    return deployed("dev", over_ssh)


def init_containers(recording: Recording) -> dict[str, list[str]]:
    return {name: [c["name"] for c in spec.get("initContainers", [])] for name, spec in pods(recording).items()}


def syncs(recording: Recording) -> dict[str, dict[str, Any]]:
    """git-sync's container, by the pod that it is in."""
    return {
        name: container
        for name, spec in pods(recording).items()
        for container in spec.get("initContainers", [])
        if container["name"] == "git-sync"
    }


def own(spec: dict[str, Any]) -> dict[str, Any]:
    (container,) = spec["containers"]
    found: dict[str, Any] = container
    return found


def test_only_what_reads_dag_files_has_a_copy_of_them(public: Recording) -> None:
    assert set(syncs(public)) == {"main-dag-processor", "main-config:task"}


def test_with_the_local_executor_the_schedulers_pod_has_a_copy_for_its_tasks() -> None:
    recorded = deployed("dev", local_executor)
    assert set(syncs(recorded)) == {"main-dag-processor", "main-scheduler"}
    mounts = {mount["name"]: mount for mount in own(pods(recorded)["main-scheduler"])["volumeMounts"]}
    assert mounts["git"] == {"name": "git", "mountPath": "/opt/airflow/git", "readOnly": True}


def test_the_database_is_reachable_before_the_first_copy_is_made(public: Recording) -> None:
    found = init_containers(public)
    assert found["main-dag-processor"] == ["cloud-sql-proxy", "git-sync"]
    assert found["main-triggerer"] == ["cloud-sql-proxy"]
    assert found["main-config:task"] == ["git-sync"]


def test_the_dag_processor_starts_after_the_first_copy_is_there(public: Recording) -> None:
    sidecar = syncs(public)["main-dag-processor"]
    assert sidecar["restartPolicy"] == "Always"
    (port,) = sidecar["ports"]
    assert f"--http-bind=:{port['containerPort']}" in sidecar["args"]
    for probe in ("startupProbe", "livenessProbe"):
        assert sidecar[probe]["httpGet"] == {"path": "/", "port": port["containerPort"]}
    assert "readinessProbe" not in sidecar


def test_a_repository_that_is_away_never_ends_git_sync_which_would_make_its_pod_unready(public: Recording) -> None:
    assert "--max-failures=-1" in syncs(public)["main-dag-processor"]["args"]


def test_a_tasks_pod_makes_one_copy_and_nothing_in_it_goes_on_beside_the_task(public: Recording) -> None:
    container = syncs(public)["main-config:task"]
    assert "--one-time" in container["args"]
    assert "restartPolicy" not in container
    assert "startupProbe" not in container
    assert not [flag for flag in container["args"] if flag.startswith("--http")]
    assert "--one-time" not in syncs(public)["main-dag-processor"]["args"]


def test_a_task_gets_the_same_folder_of_the_same_ref_as_the_dag_processor() -> None:
    recorded = deployed("dev", lambda t: git(t).update(ref="release/1", subpath="team/dags", depth=0))
    (bundle,) = json.loads(airflow_cfg(recorded)["dag_processor"]["dag_bundle_config_list"])
    assert bundle["kwargs"]["path"] == "/opt/airflow/git/current/team/dags"
    assert airflow_cfg(recorded)["core"]["dags_folder"] == bundle["kwargs"]["path"]
    shared = {
        "--repo=https://github.com/acme/airflow-dags.git",
        "--ref=release/1",
        "--depth=0",
        "--root=/opt/airflow/git",
        "--link=current",
    }
    for name, container in syncs(recorded).items():
        assert shared <= set(container["args"]), name
        mounts = {mount["name"]: mount for mount in own(pods(recorded)[name])["volumeMounts"]}
        assert mounts["git"] == {"name": "git", "mountPath": "/opt/airflow/git", "readOnly": True}, name


def test_the_whole_repository_can_be_the_dags_folder() -> None:
    recorded = deployed("dev", lambda t: git(t).update(subpath="."))
    (bundle,) = json.loads(airflow_cfg(recorded)["dag_processor"]["dag_bundle_config_list"])
    assert bundle["kwargs"]["path"] == "/opt/airflow/git/current"


def test_new_files_are_looked_for_every_few_seconds(public: Recording) -> None:
    # Airflow's default is five minutes, long after git-sync has brought them.
    (bundle,) = json.loads(airflow_cfg(public)["dag_processor"]["dag_bundle_config_list"])
    assert bundle["kwargs"]["refresh_interval"] == 5


def test_a_run_that_began_under_one_delivery_finds_its_dags_under_another(public: Recording) -> None:
    def name(recording: Recording) -> str:
        (bundle,) = json.loads(airflow_cfg(recording)["dag_processor"]["dag_bundle_config_list"])
        return str(bundle["name"])

    assert name(public) == name(deployed("local")) == "dags"


def test_how_often_and_how_patiently_it_looks_is_a_setting() -> None:
    def change(tree: Tree) -> None:
        first(tree)["dags"].update(periodSeconds=7, staleWorktreeSeconds=3600, maxFailures=20, volumeSize="3Gi")

    recorded = deployed("dev", change)
    flags = syncs(recorded)["main-dag-processor"]["args"]
    assert {"--period=7s", "--stale-worktree-timeout=3600s", "--max-failures=20"} <= set(flags)
    for name in ("main-dag-processor", "main-config:task"):
        volumes = {volume["name"]: volume for volume in pods(recorded)[name]["volumes"]}
        assert volumes["git"]["emptyDir"] == {"sizeLimit": "3Gi"}, name


def test_a_public_repository_needs_no_secret(public: Recording) -> None:
    assert "main-git" not in public.of("Secret")
    for name, container in syncs(public).items():
        assert {mount["name"] for mount in container["volumeMounts"]} == {"git", "git-tmp"}, name
        assert not [flag for flag in container["args"] if "password" in flag or "ssh" in flag], name


def test_a_token_is_a_file_of_a_secret_in_the_airflows_namespace_and_nothing_else(private: Recording) -> None:
    secret = private.one("Secret", "main-git")
    assert secret.inputs["metadata"]["namespace"] == "airflow-main"
    assert secret.inputs["stringData"] == {"token": TOKEN}
    assert {path.partition(".")[0] for path in secret.secret_paths} == {"stringData"}
    for one in private.resources:
        if one.name != "main-git":
            assert [path for path, value in leaves(one.inputs) if TOKEN in str(value)] == [], one.name
    for name, container in syncs(private).items():
        assert {"--username=git", "--password-file=/run/secrets/git/token"} <= set(container["args"]), name
        assert "env" not in container, name


@pytest.mark.parametrize("recording", ["private", "by_ssh"])
def test_only_git_sync_sees_the_login(recording: str, request: pytest.FixtureRequest) -> None:
    for name, spec in pods(request.getfixturevalue(recording)).items():
        holders = [
            container["name"]
            for container in [*spec.get("initContainers", []), *spec["containers"]]
            if any(mount["name"] == "git-login" for mount in container["volumeMounts"])
        ]
        assert holders == (["git-sync"] if name in {"main-dag-processor", "main-config:task"} else []), name
        for volume in spec["volumes"]:
            if volume["name"] == "git-login":
                assert volume["secret"] == {"secretName": "git", "defaultMode": 0o440}


def test_its_scratch_space_is_not_the_one_that_the_pods_other_containers_share(private: Recording) -> None:
    # git's credential helper listens there and hands the token out to who asks.
    for name, container in syncs(private).items():
        (tmp,) = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/tmp"]
        assert tmp not in {mount["name"] for mount in own(pods(private)[name])["volumeMounts"]}, name


def test_over_ssh_the_server_must_be_a_known_one(by_ssh: Recording) -> None:
    held = by_ssh.one("Secret", "main-git").inputs["stringData"]
    assert held == {"ssh": openssh_key() + "\n", "known_hosts": HOST_KEY + "\n"}
    for name, container in syncs(by_ssh).items():
        assert {
            "--ssh-key-file=/run/secrets/git/ssh",
            "--ssh-known-hosts=true",
            "--ssh-known-hosts-file=/run/secrets/git/known_hosts",
        } <= set(container["args"]), name
        assert "--add-user" not in container["args"], name


def test_git_sync_runs_as_its_images_user_under_the_restricted_standard(by_ssh: Recording) -> None:
    # ssh starts for nobody who is not in /etc/passwd, and the root file system can't be written to add somebody.
    for name, container in syncs(by_ssh).items():
        security = container["securityContext"]
        assert security["runAsUser"] == 65533, name
        assert security["readOnlyRootFilesystem"], name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert set(container["resources"]) == {"requests", "limits"}, name
        spec = pods(by_ssh)[name]
        assert spec["securityContext"]["runAsUser"] == 50000, name
        assert "runAsUser" not in own(spec)["securityContext"], name


def test_a_push_takes_no_files_from_a_task_that_runs() -> None:
    def kept(**changes: object) -> set[str]:
        recorded = deployed("dev", lambda tree: first(tree).update(changes))
        flags = [flag for one in syncs(recorded).values() for flag in one["args"]]
        return {flag for flag in flags if flag.startswith("--stale-worktree-timeout=")}

    assert kept() == {"--stale-worktree-timeout=600s"}
    assert kept(executor="LocalExecutor") == {"--stale-worktree-timeout=21600s"}
    queues = [{"name": "default"}, {"name": "slow", "longestTaskSeconds": 7200}]
    celery = {"queues": queues, "longestTaskSeconds": 900}
    assert kept(executor="CeleryExecutor", celery=celery) == {"--stale-worktree-timeout=7200s"}


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_servers_own_authority_is_trusted_in_place_of_the_public_ones(token: str | None) -> None:
    def change(tree: Tree) -> None:
        first(tree)["dags"]["caCertificates"] = CERTIFICATE
        if token:
            given(gitToken=token)(tree)

    recorded = deployed("dev", change)
    held = recorded.one("Secret", "main-git").inputs["stringData"]
    assert held == {"ca": CERTIFICATE, **({"token": token} if token else {})}
    for name, container in syncs(recorded).items():
        env = {one["name"]: one["value"] for one in container["env"]}
        assert env == {"GIT_SSL_CAINFO": "/run/secrets/git/ca"}, name
        assert any(mount["name"] == "git-login" for mount in container["volumeMounts"]), name
        assert any(flag.startswith("--password-file") for flag in container["args"]) == bool(token), name


def annotations(recording: Recording, workload: str) -> dict[str, str]:
    template = recording.one("Deployment", workload).inputs["spec"]["template"]
    return dict(template["metadata"]["annotations"])


def test_a_changed_token_restarts_what_holds_it_and_nothing_else(private: Recording) -> None:
    other = deployed("dev", given(gitToken="another"))
    before, after = annotations(private, "main-dag-processor"), annotations(other, "main-dag-processor")
    assert before["checksum/git"] != after["checksum/git"]
    for part in ("api-server", "scheduler", "triggerer"):
        assert annotations(private, f"main-{part}") == annotations(other, f"main-{part}"), part


def test_components_wait_for_the_secret_that_they_mount(private: Recording) -> None:
    assert "main-git" in private.one("Job", "main-migrate").dependencies


def test_the_ui_says_which_branch_the_dags_are_of_and_which_image_runs_them(public: Recording) -> None:
    assert airflow_cfg(public)["api"]["instance_name"] == "dev / main (DAGs main, image v1.4.0)"
    labels = public.one("Deployment", "main-dag-processor").inputs["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == "v1.4.0"


def test_every_image_comes_from_the_organisations_registry_by_digest(public: Recording) -> None:
    images = {
        container["image"]
        for spec in pods(public).values()
        for container in [*spec.get("initContainers", []), *spec["containers"]]
    }
    registry = "europe-west1-docker.pkg.dev/acme-platform/"
    assert [image for image in images if not image.startswith(registry) or "@sha256:" not in image] == []
    assert [image for image in images if image.startswith(f"{registry}kubernetes/git-sync/git-sync:v")]


def test_baked_dags_bring_no_git_sync() -> None:
    recorded = deployed("prod")
    assert syncs(recorded) == {}
    assert "main-git" not in recorded.of("Secret")
    assert "checksum/git" not in annotations(recorded, "main-dag-processor")
    (bundle,) = json.loads(airflow_cfg(recorded)["dag_processor"]["dag_bundle_config_list"])
    assert bundle["kwargs"] == {"path": "/opt/airflow/dags"}


def test_two_airflows_have_a_login_each() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"].append({**first(tree), "name": "team-b"})
        tree["database"]["maxConnections"] = 210
        tree["secrets"] = {"main": {"gitToken": TOKEN}, "team-b": {"gitToken": "theirs"}}

    recorded = deployed("dev", change)
    held = {
        name: (secret.inputs["metadata"]["namespace"], secret.inputs["stringData"])
        for name, secret in recorded.of("Secret").items()
        if name.endswith("-git")
    }
    assert held == {
        "main-git": ("airflow-main", {"token": TOKEN}),
        "team-b-git": ("airflow-team-b", {"token": "theirs"}),
    }


def test_a_preview_of_a_stack_that_does_not_exist_yet_survives_unknown_values(by_ssh: Recording) -> None:
    assert len(deployed("dev", over_ssh, preview=True).resources) == len(by_ssh.resources)
