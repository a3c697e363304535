"""DAGs as versioned bundles: what reads them gets what it needs, and no more."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_dag_delivery import (
    CERTIFICATE,
    HOST_KEY,
    TOKEN,
    first,
    git,
    given,
    init_containers,
    openssh_key,
    over_ssh,
    own,
    syncs,
)
from tests.unit.test_environment import airflow_cfg, leaves, pods

COMPONENTS = {"main-api-server", "main-scheduler", "main-dag-processor", "main-triggerer"}
READERS = {"main-dag-processor", "main-config:task"}


def git_bundle(change: Callable[[Tree], object] = lambda _: None) -> Callable[[Tree], object]:
    def both(tree: Tree) -> None:
        first(tree)["dags"]["kind"] = "git-bundle"
        change(tree)

    return both


def artifact(**keys: object) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        dags = first(tree)["dags"]
        image = {key: dags[key] for key in ("repository", "version", "digest") if key in dags}
        first(tree)["dags"] = {**image, "kind": "artifact", **keys}

    return change


@pytest.fixture(scope="module")
def public() -> Recording:
    return deployed("dev", git_bundle())


@pytest.fixture(scope="module")
def private() -> Recording:
    return deployed("dev", git_bundle(given(gitToken=TOKEN)))


@pytest.fixture(scope="module")
def by_ssh() -> Recording:
    return deployed("dev", git_bundle(over_ssh))


@pytest.fixture(scope="module")
def tarballs() -> Recording:
    return deployed("dev", artifact(publishers=["group:data@acme.example"]))


def bundle(recording: Recording) -> dict[str, Any]:
    (found,) = json.loads(airflow_cfg(recording)["dag_processor"]["dag_bundle_config_list"])
    return dict(found)


def connection(recording: Recording) -> dict[str, Any]:
    return dict(json.loads(recording.one("Secret", "main-git-connection").inputs["stringData"]["connection"]))


def with_storage(recording: Recording) -> set[str]:
    return {
        name
        for name, spec in pods(recording).items()
        for container in spec["containers"]
        if any(mount["name"] == "dag-bundles" for mount in container["volumeMounts"])
    }


def test_the_bundle_has_the_same_name_in_every_delivery(public: Recording, tarballs: Recording) -> None:
    assert bundle(public)["name"] == bundle(tarballs)["name"] == bundle(deployed("prod"))["name"] == "dags"


def test_dags_in_the_image_show_its_version_and_tie_no_run_to_it() -> None:
    recorded = deployed("prod")
    assert bundle(recorded)["classpath"] == "airflow_platform_bundles.image.ImageDagBundle"
    assert airflow_cfg(recorded)["dag_processor"]["disable_bundle_versioning"] == "True"


@pytest.mark.parametrize("recording", ["public", "tarballs"])
def test_runs_keep_the_version_that_they_began_with(recording: str, request: pytest.FixtureRequest) -> None:
    section = airflow_cfg(request.getfixturevalue(recording))["dag_processor"]
    assert "disable_bundle_versioning" not in section
    assert section["dag_bundle_storage_path"] == "/opt/airflow/bundles"


def test_a_git_bundle_follows_the_ref_and_has_the_address_from_its_connection_alone(public: Recording) -> None:
    assert bundle(public) == {
        "name": "dags",
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"git_conn_id": "dags_git", "tracking_ref": "main", "subdir": "dags", "refresh_interval": 30},
    }
    assert connection(public) == {"conn_type": "git", "host": "https://github.com/acme/airflow-dags.git"}


def test_ref_folder_period_and_disk_of_a_git_bundle_are_settings() -> None:
    def change(tree: Tree) -> None:
        git(tree).update(ref="release/1", subpath=".")
        first(tree)["dags"].update(periodSeconds=7, volumeSize="3Gi")

    recorded = deployed("dev", git_bundle(change))
    kwargs = {"git_conn_id": "dags_git", "tracking_ref": "release/1", "refresh_interval": 7}
    assert bundle(recorded)["kwargs"] == kwargs
    for name in READERS:
        volumes = {volume["name"]: volume for volume in pods(recorded)[name]["volumes"]}
        assert volumes["dag-bundles"]["emptyDir"] == {"sizeLimit": "3Gi"}, name


@pytest.mark.parametrize("recording", ["public", "tarballs"])
def test_what_reads_dags_has_a_folder_for_them_and_nothing_waits_for_a_copy(
    recording: str, request: pytest.FixtureRequest
) -> None:
    recorded = request.getfixturevalue(recording)
    assert with_storage(recorded) == READERS
    for name in READERS:
        (mount,) = [mount for mount in own(pods(recorded)[name])["volumeMounts"] if mount["name"] == "dag-bundles"]
        assert (mount["mountPath"], mount.get("readOnly", False)) == ("/opt/airflow/bundles", False), name
    assert init_containers(recorded)["main-dag-processor"] == ["cloud-sql-proxy"]
    assert init_containers(recorded)["main-config:task"] == []


def test_with_the_local_executor_the_schedulers_pod_has_the_folder() -> None:
    recorded = deployed("dev", git_bundle(lambda t: first(t).update(executor="LocalExecutor")))
    assert with_storage(recorded) == {"main-dag-processor", "main-scheduler"}


def test_a_token_is_in_the_connection_and_nowhere_else(private: Recording) -> None:
    found = connection(private)
    assert (found["login"], found["password"]) == ("git", TOKEN)
    for one in private.resources:
        if one.name != "main-git-connection":
            assert [path for path, value in leaves(one.inputs) if TOKEN in str(value)] == [], one.name
    secret = private.one("Secret", "main-git-connection")
    assert {path.partition(".")[0] for path in secret.secret_paths} == {"stringData"}


@pytest.mark.parametrize("recording", ["public", "private", "by_ssh"])
def test_every_component_knows_the_connection_and_no_task_and_no_job_does(
    recording: str, request: pytest.FixtureRequest
) -> None:
    knowing = {
        name: variable["valueFrom"]
        for name, spec in pods(request.getfixturevalue(recording)).items()
        for container in spec["containers"]
        for variable in container.get("env", [])
        if variable["name"] == "AIRFLOW_CONN_DAGS_GIT"
    }
    login = {"secretKeyRef": {"name": "git-connection", "key": "connection"}}
    assert knowing == dict.fromkeys(COMPONENTS, login)


def test_over_ssh_the_server_must_be_a_known_one(by_ssh: Recording) -> None:
    assert connection(by_ssh)["extra"] == {
        "strict_host_key_checking": "yes",
        "known_hosts_file": "/opt/airflow/platform/known_hosts",
        "private_key": openssh_key() + "\n",
    }
    assert by_ssh.one("ConfigMap", "main-config").inputs["data"]["known_hosts"] == HOST_KEY + "\n"
    mounts = {mount["mountPath"] for mount in own(pods(by_ssh)["main-config:task"])["volumeMounts"]}
    assert "/opt/airflow/platform" in mounts


def test_a_changed_token_restarts_every_component(private: Recording) -> None:
    other = deployed("dev", git_bundle(given(gitToken="another")))
    for part in COMPONENTS:

        def annotation(recording: Recording, part: str = part) -> str:
            template = recording.one("Deployment", part).inputs["spec"]["template"]
            return str(template["metadata"]["annotations"]["checksum/git-connection"])

        assert annotation(private) != annotation(other), part


def test_a_preview_of_a_stack_that_does_not_exist_yet_survives_unknown_values(by_ssh: Recording) -> None:
    assert len(deployed("dev", git_bundle(over_ssh), preview=True).resources) == len(by_ssh.resources)


def test_tarballs_have_a_bucket_of_their_own_that_pods_only_read(tarballs: Recording) -> None:
    bucket = tarballs.one("Bucket", "main-dags-bucket").inputs
    assert bucket["name"] == "acme-airflow-dev-dev-main-dags"
    assert bucket["publicAccessPrevention"] == "enforced"
    assert [rule["action"]["type"] for rule in bucket["lifecycleRules"]] == ["AbortIncompleteMultipartUpload"]
    granted = {
        one.inputs["member"]: one.inputs["role"]
        for name, one in tarballs.of("BucketIAMMember").items()
        if name.startswith("main-dags-")
    }
    assert granted == {
        "serviceAccount:dev-main-airflow@acme.iam.gserviceaccount.com": "roles/storage.objectViewer",
        "serviceAccount:dev-main-tasks@acme.iam.gserviceaccount.com": "roles/storage.objectViewer",
        "group:data@acme.example": "roles/storage.objectUser",
    }
    kwargs = {"bucket": "acme-airflow-dev-dev-main-dags", "prefix": "dags", "refresh_interval": 30}
    assert bundle(tarballs)["kwargs"] == kwargs
    assert bundle(tarballs)["classpath"] == "airflow_platform_bundles.artifact.ArtifactDagBundle"


def test_where_data_must_last_the_bucket_is_protected() -> None:
    recorded = deployed("prod", artifact())
    assert recorded.one("Bucket", "main-dags-bucket").protect
    assert not recorded.one("Bucket", "main-dags-bucket").inputs["forceDestroy"]


def test_a_bucket_of_yours_and_a_server_of_yours_are_used_as_they_are() -> None:
    recorded = deployed("local", artifact(bucket="ours", prefix="a/b", endpoint="http://store:4443", periodSeconds=5))
    kwargs = {"bucket": "ours", "prefix": "a/b", "endpoint": "http://store:4443", "refresh_interval": 5}
    assert bundle(recorded)["kwargs"] == kwargs
    assert "main-dags-bucket" not in recorded.of("Bucket")
    assert "(DAGs of ours/a/b, image latest)" in airflow_cfg(recorded)["api"]["instance_name"]


def test_a_github_app_signs_in_with_a_key_that_only_git_sync_sees() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"

    def change(tree: Tree) -> None:
        app = {"clientId": "Iv1.0123", "installationId": "42", "baseUrl": "https://github.acme.example/api/v3"}
        first(tree)["dags"]["githubApp"] = app
        tree["secrets"] = {"main": {"githubAppKey": key}}

    recorded = deployed("dev", change)
    assert recorded.one("Secret", "main-git").inputs["stringData"] == {"app": key + "\n"}
    for name in READERS:
        (container,) = [c for c in pods(recorded)[name]["initContainers"] if c["name"] == "git-sync"]
        assert {
            "--github-app-client-id=Iv1.0123",
            "--github-app-installation-id=42",
            "--github-app-private-key-file=/run/secrets/git/app",
            "--github-base-url=https://github.acme.example/api/v3",
        } <= set(container["args"]), name
        assert not [flag for flag in container["args"] if "password" in flag], name


def test_an_authority_that_is_given_vouches_for_the_server_that_an_app_signs_in_at_too() -> None:
    def change(tree: Tree) -> None:
        app = {"clientId": "Iv1.0123", "installationId": "42"}
        first(tree)["dags"].update(githubApp=app, caCertificates=CERTIFICATE)
        given(githubAppKey=openssh_key())(tree)

    for name, container in syncs(deployed("dev", change)).items():
        trusted = {one["name"]: one["value"] for one in container["env"]}
        assert trusted == dict.fromkeys(("GIT_SSL_CAINFO", "SSL_CERT_FILE"), "/run/secrets/git/ca"), name


def test_plugins_from_the_repository_are_beside_every_component_and_no_job() -> None:
    recorded = deployed("dev", lambda t: first(t)["dags"].update(plugins="airflow/plugins"))
    assert airflow_cfg(recorded)["core"]["plugins_folder"] == "/opt/airflow/git/current/airflow/plugins"
    having = {name for name, names in init_containers(recorded).items() if "git-sync" in names}
    assert having == COMPONENTS | {"main-config:task"}
    assert "plugins_folder" not in airflow_cfg(deployed("dev"))["core"]
