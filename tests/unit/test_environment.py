"""What the program registers for a stack, recorded from Pulumi's mocks."""

import configparser
import itertools
import json
import re
from typing import Any

import pytest
import yaml

from tests.unit.recorder import Recording, Registered
from tests.unit.stack_files import Tree, deployed

SECRET_TEXTS = ("p@ss'\"$w%rd", "p%40ss%27%22%24w%25rd", "----____")
"""How the generated secrets look that the recorder hands out: as they are, in URLs, and as a Fernet key."""


@pytest.fixture(scope="module")
def local() -> Recording:
    return deployed()


def pods(recording: Recording) -> dict[str, Any]:
    """The spec of every pod of a recording, task pods included, by the workload's name."""
    found = {
        r.name: r.inputs["spec"]["template"]["spec"]
        for r in recording.resources
        if r.kind in {"Deployment", "StatefulSet", "Job"}
    }
    for name, cron in recording.of("CronJob").items():
        found[f"{name}:cron"] = cron.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for name, config in recording.of("ConfigMap").items():
        if template := config.inputs.get("data", {}).get("pod-template.yaml"):
            found[f"{name}:task"] = yaml.safe_load(template)["spec"]
    return found


def airflow_cfg(recording: Recording, name: str = "main") -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(recording.one("ConfigMap", f"{name}-config").inputs["data"]["airflow.cfg"])
    return parser


def test_every_resource_has_a_name_of_its_own_within_its_type(local: Recording) -> None:
    names = [(r.type, r.parent, r.name) for r in local.resources]
    assert len(names) == len(set(names))


def test_every_component_registers_its_outputs(local: Recording) -> None:
    components = {r.name for r in local.resources if not r.custom}
    assert components <= local.components_registered


def test_every_kubernetes_object_belongs_to_a_component_and_uses_the_environments_cluster(local: Recording) -> None:
    objects = [r for r in local.resources if r.type.startswith("kubernetes:")]
    assert len(objects) > 25
    for one in objects:
        assert one.parent in {"ingress", "main", "postgresql", "priorities"}, one.name
        assert one.provider == "cluster", one.name


def test_the_provider_changes_config_maps_and_secrets_in_place_and_knows_its_cluster(local: Recording) -> None:
    inputs = local.one("kubernetes", "cluster").inputs
    assert inputs["enableConfigMapMutable"] == "true"
    assert inputs["enableSecretMutable"] == "true"
    assert inputs["clusterIdentifier"] == "airflow-platform-testbed"
    assert inputs["context"] == "airflow-platform-testbed"


def test_no_secret_stands_in_an_input_that_is_not_secret(local: Recording) -> None:
    for one in local.resources:
        for path, value in leaves(one.inputs):
            if any(text in str(value) for text in SECRET_TEXTS):
                assert one.kind == "Secret", f"{one.name}: {path}"
                assert any(path.startswith(secret) for secret in one.secret_paths), f"{one.name}: {path} is in clear"


def test_the_search_for_secrets_does_find_them(local: Recording) -> None:
    held = " ".join(str(value) for one in local.of("Secret").values() for _, value in leaves(one.inputs))
    assert all(text in held for text in SECRET_TEXTS)


def test_every_container_has_requests_limits_and_a_read_only_root(local: Recording) -> None:
    for name, spec in pods(local).items():
        assert spec["securityContext"]["runAsNonRoot"], name
        for container in spec["containers"]:
            assert set(container["resources"]) == {"requests", "limits"}, name
            for sizes in container["resources"].values():
                assert set(sizes) == {"cpu", "memory"}, name
            assert container["securityContext"]["readOnlyRootFilesystem"], name


def test_nothing_is_mounted_file_by_file(local: Recording) -> None:
    # A container that restarts after its ConfigMap has changed would not come back.
    mounts = [
        (name, mount) for name, spec in pods(local).items() for c in spec["containers"] for mount in c["volumeMounts"]
    ]
    assert len(mounts) > 20
    assert [name for name, mount in mounts if "subPath" in mount] == []


def test_every_long_running_container_has_probes(local: Recording) -> None:
    long_running = {**local.of("Deployment"), **local.of("StatefulSet")}
    assert len(long_running) == 6
    for name, one in long_running.items():
        for container in one.inputs["spec"]["template"]["spec"]["containers"]:
            assert "startupProbe" in container, name
            assert "livenessProbe" in container, name


def test_only_what_talks_to_the_kubernetes_api_has_a_token(local: Recording) -> None:
    with_token = {name for name, spec in pods(local).items() if spec["automountServiceAccountToken"]}
    talk = {"ingress-controller", "main-scheduler", "main-api-server", "main-migrate", "main-clean-task-pods:cron"}
    assert with_token == talk


def test_a_task_pod_has_no_secret_and_no_way_to_the_database(local: Recording) -> None:
    template = yaml.safe_load(local.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    text = json.dumps(template)
    assert "secret" not in text.lower()
    assert "database" not in text
    assert "airflow-platform/database-client" not in template["metadata"]["labels"]
    assert template["spec"]["containers"][0]["name"] == "base"
    assert template["spec"]["restartPolicy"] == "Never"


def test_only_labelled_pods_of_the_platform_reach_the_database(local: Recording) -> None:
    policy = local.one("NetworkPolicy", "postgresql-access").inputs["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 5432}]
    (source,) = rule["from"]
    assert source["podSelector"]["matchLabels"] == {"airflow-platform/database-client": "true"}


def test_the_administrators_password_is_in_no_airflows_namespace(local: Recording) -> None:
    holders = [
        secret.inputs["metadata"]["namespace"]
        for secret in local.of("Secret").values()
        if "postgresql-admini" in str(secret.inputs["stringData"])
    ]
    assert holders == ["postgresql"]


def test_components_wait_for_the_migration_and_the_migration_for_the_database(local: Recording) -> None:
    for part in ("api-server", "scheduler", "dag-processor", "triggerer"):
        assert "main-migrate" in local.one("Deployment", f"main-{part}").dependencies
    # Permissions are written once: api-servers that find none write them all, each for itself.
    assert "main-create-admin" in local.one("Deployment", "main-api-server").dependencies
    assert "main-database-bootstrap" in local.one("Job", "main-migrate").dependencies
    assert "postgresql-server" in local.one("Job", "main-database-bootstrap").dependencies


def test_airflow_is_told_where_tasks_find_the_api_server_and_how_components_find_each_other(local: Recording) -> None:
    config = airflow_cfg(local)
    url = "http://api-server.airflow-main.svc.cluster.local:8080/execution/"
    assert config["core"]["execution_api_server_url"] == url
    assert config["core"]["hostname_callable"] == "airflow.utils.net.get_host_ip_address"
    assert config["core"]["executor"] == "KubernetesExecutor"
    assert config["kubernetes_executor"]["delete_worker_pods_on_failure"] == "True"
    (bundle,) = json.loads(config["dag_processor"]["dag_bundle_config_list"])
    assert bundle["kwargs"] == {"path": "/opt/airflow/dags"}


def test_a_base_url_with_a_path_is_part_of_the_execution_api_address() -> None:
    recorded = deployed(change=lambda t: t["airflows"][0].update(baseUrl="https://example.com:8443/team/a"))
    url = airflow_cfg(recorded)["core"]["execution_api_server_url"]
    assert url == "http://api-server.airflow-main.svc.cluster.local:8080/team/a/execution/"


def test_the_dag_images_version_is_shown_in_the_ui_and_on_every_pod(local: Recording) -> None:
    assert airflow_cfg(local)["api"]["instance_name"] == "local / main (DAGs latest)"
    for name in ("main-api-server", "main-scheduler"):
        labels = local.one("Deployment", name).inputs["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/version"] == "latest"


def test_a_digest_pins_the_image() -> None:
    digest = "sha256:" + "0" * 64
    recorded = deployed(change=lambda t: t["airflows"][0]["dags"].update(digest=digest))
    container = recorded.one("Deployment", "main-scheduler").inputs["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"localhost/airflow-platform/dags@{digest}"


def test_the_local_executor_starts_no_pods_and_has_no_rights_to() -> None:
    recorded = deployed(change=lambda t: t["airflows"][0].update(executor="LocalExecutor"))
    assert set(recorded.of("Role")) == {"ingress-role", "main-migrate"}
    assert "pod-template.yaml" not in recorded.one("ConfigMap", "main-config").inputs["data"]
    scheduler = recorded.one("Deployment", "main-scheduler").inputs["spec"]
    assert scheduler["strategy"] == {"type": "Recreate"}
    assert scheduler["template"]["spec"]["terminationGracePeriodSeconds"] == 600


def checksums(recording: Recording, workload: str) -> dict[str, str]:
    template = recording.one("Deployment", workload).inputs["spec"]["template"]
    return dict(template["metadata"]["annotations"])


def test_changed_configuration_rolls_the_pods_that_mount_it(local: Recording) -> None:
    other = deployed(change=lambda t: t["airflows"][0].update(parallelism=7))
    before, after = checksums(local, "main-scheduler"), checksums(other, "main-scheduler")
    assert before["checksum/config"] != after["checksum/config"]
    assert before["checksum/secrets"] == after["checksum/secrets"]


def test_a_changed_secret_rolls_the_pods_that_use_it_and_runs_its_job_again(local: Recording) -> None:
    other = deployed(change=lambda t: t.update(secrets={"main": {"databasePassword": "another"}}))
    assert (
        checksums(local, "main-scheduler")["checksum/secrets"] != checksums(other, "main-scheduler")["checksum/secrets"]
    )

    def job(recording: Recording) -> str:
        return str(recording.one("Job", "main-database-bootstrap").inputs["metadata"]["name"])

    assert job(local) != job(other)


def test_a_given_secret_with_odd_characters_arrives_whole() -> None:
    odd = "a$HOME~%(x)s'\"\\ ü\n;"
    recorded = deployed(change=lambda t: t.update(secrets={"main": {"jwtSecret": odd, "adminPassword": odd}}))
    assert recorded.one("Secret", "main-keys").inputs["stringData"]["jwt-secret"] == odd
    assert recorded.one("Secret", "main-admin").inputs["stringData"]["password"] == odd


def stateful(recording: Recording) -> dict[str, Registered]:
    kinds = {"Namespace", "StatefulSet", "PersistentVolumeClaim", "RandomBytes"}
    return {r.name: r for r in recording.resources if r.kind in kinds}


def test_what_cannot_be_made_again_is_protected_unless_the_stack_is_ephemeral(local: Recording) -> None:
    lasting = deployed(change=lambda t: t.update(ephemeral=False))
    names = {
        "ingress-namespace",
        "main-namespace",
        "postgresql-namespace",
        "postgresql-server",
        "main-logs",
        "main-backups",
        "main-fernet-key",
    }
    assert set(stateful(lasting)) == names
    assert all(one.protect for one in stateful(lasting).values())
    assert not any(one.protect for one in stateful(local).values())


def test_two_airflows_share_no_namespace_role_or_secret() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"].append({**tree["airflows"][0], "name": "team-b"})

    recorded = deployed(change=change)
    namespaces = {r.inputs["metadata"]["name"] for r in recorded.of("Namespace").values()}
    assert namespaces == {"ingress", "postgresql", "airflow-main", "airflow-team-b"}
    connections = [
        recorded.one("Secret", f"{name}-database").inputs["stringData"]["connection"] for name in ("main", "team-b")
    ]
    users = [re.match(r"postgresql\+psycopg2://([^:]+):.*/(\w+)$", url) for url in connections]
    assert [match.groups() for match in users if match] == [
        ("airflow_main", "airflow_main"),
        ("airflow_team_b", "airflow_team_b"),
    ]


def test_adding_an_airflow_changes_nothing_of_the_others(local: Recording) -> None:
    def change(tree: Tree) -> None:
        tree["airflows"].append({**tree["airflows"][0], "name": "team-b"})

    grown = deployed(change=change)
    for before in local.resources:
        if not before.custom or before.kind == "kubernetes":
            continue
        (after,) = [
            r for r in grown.resources if (r.type, r.parent, r.name) == (before.type, before.parent, before.name)
        ]
        assert after.inputs == before.inputs, before.name


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        (
            {"kind": "gcs", "bucket": "acme-logs"},
            {"remote_logging": "True", "remote_base_log_folder": "gs://acme-logs/task-logs/main"},
        ),
        (
            {"kind": "elasticsearch", "url": "https://logs.example.com:9200"},
            {"logging_config_class": "airflow_platform_logs.config.LOGGING_CONFIG", "remote_logging": "False"},
        ),
        ({"kind": "volume"}, {"remote_logging": "False"}),
    ],
)
def test_the_log_store_is_a_setting(logs: Tree, expected: dict[str, str]) -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0]["taskLogs"] = logs
        tree["secrets"] = {"main": {"elasticsearchUser": "reader", "elasticsearchPassword": "p@ss/word"}}

    recorded = deployed(change=change)
    assert expected.items() <= dict(airflow_cfg(recorded)["logging"]).items()
    assert ("main-logs" in recorded.of("PersistentVolumeClaim")) == (logs["kind"] == "volume")
    if logs["kind"] == "elasticsearch":
        url = recorded.one("Secret", "main-elasticsearch").inputs["stringData"]["url"]
        assert url == "https://reader:p%40ss%2Fword@logs.example.com:9200"
        assert "p%40ss" not in recorded.one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"]


def test_a_mirror_takes_the_place_of_the_public_registry() -> None:
    recorded = deployed(change=lambda t: t.update(images={"registry": "mirror.example.com/hub"}))
    container = recorded.one("StatefulSet", "postgresql-server").inputs["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].startswith("mirror.example.com/hub/library/postgres:")


def test_a_preview_of_a_stack_that_does_not_exist_yet_survives_unknown_values() -> None:
    assert len(deployed(preview=True).resources) == len(deployed().resources)


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        inner = ((f"{path}.{key}" if path else key, below) for key, below in value.items())
    elif isinstance(value, list):
        inner = ((f"{path}[{index}]", below) for index, below in enumerate(value))
    else:
        return [(path, value)]
    return list(itertools.chain.from_iterable(leaves(below, where) for where, below in inner))
