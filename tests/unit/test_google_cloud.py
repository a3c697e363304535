"""What the program registers for environments on Google Cloud, recorded from Pulumi's mocks."""

import copy
import json
from typing import Any

import pytest
import yaml

from components.gcp.bootstrap.admission import admitted_patterns, is_admitted
from components.gcp.cluster import first_window, kubeconfig
from components.gcp.naming import Organisation
from tests.unit.recorder import Recording, Registered
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_environment import SECRET_TEXTS, airflow_cfg, leaves, pods

CLOUD = ["dev", "staging", "prod"]
_RECORDED: dict[str, Recording] = {}


def recorded(stack: str) -> Recording:
    """The stack as its file says, recorded once."""
    if stack not in _RECORDED:
        _RECORDED[stack] = deployed(stack)
    return _RECORDED[stack]


@pytest.fixture
def prod() -> Recording:
    return recorded("prod")


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*spec.get("initContainers", []), *spec["containers"]]


@pytest.mark.parametrize("stack", CLOUD)
def test_every_image_of_every_stack_is_one_that_the_cluster_admits_and_pinned_by_digest(stack: str) -> None:
    admitted = admitted_patterns(Organisation("acme-platform", "europe-west1"))
    images = [container["image"] for spec in pods(recorded(stack)).values() for container in containers(spec)]
    assert len(images) > 10
    for image in images:
        assert "@sha256:" in image, image
        assert is_admitted(image, admitted), image


def test_an_image_from_elsewhere_is_not_admitted() -> None:
    admitted = admitted_patterns(Organisation("acme-platform", "europe-west1"))
    for image in ("docker.io/library/postgres:17", "europe-west1-docker.pkg.dev/other/images/dags:1"):
        assert not is_admitted(image, admitted)


@pytest.mark.parametrize("stack", CLOUD)
def test_every_resource_on_google_cloud_uses_the_environments_provider_and_belongs_to_a_component(stack: str) -> None:
    made = [r for r in recorded(stack).resources if r.type.startswith("gcp:")]
    assert len(made) > 30
    for one in made:
        assert one.provider == "google", one.name
        assert one.parent != "airflow-platform-test", one.name


@pytest.mark.parametrize("stack", CLOUD)
def test_no_secret_stands_in_an_input_that_is_not_secret(stack: str) -> None:
    for one in recorded(stack).resources:
        for path, value in leaves(one.inputs):
            if any(text in str(value) for text in SECRET_TEXTS):
                assert any(path.startswith(secret) for secret in one.secret_paths), f"{one.name}: {path} is in clear"


@pytest.mark.parametrize("stack", CLOUD)
def test_there_is_no_key_of_a_service_account(stack: str) -> None:
    assert not recorded(stack).of("Key")


def test_the_cluster_is_private_and_has_nothing_legacy(prod: Recording) -> None:
    cluster = prod.one("Cluster", "gke-cluster").inputs
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True}
    endpoints = cluster["controlPlaneEndpointsConfig"]
    assert endpoints["ipEndpointsConfig"] == {"enabled": False}
    assert endpoints["dnsEndpointConfig"]["allowExternalTraffic"]
    assert cluster["datapathProvider"] == "ADVANCED_DATAPATH"
    assert cluster["workloadIdentityConfig"] == {"workloadPool": "acme-airflow-prod.svc.id.goog"}
    assert cluster["binaryAuthorization"] == {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"}
    assert cluster["databaseEncryption"]["state"] == "ENCRYPTED"
    assert "/keyRings/airflow-platform/" in cluster["databaseEncryption"]["keyName"]
    assert not cluster["enableLegacyAbac"]
    assert not cluster["masterAuth"]["clientCertificateConfig"]["issueClientCertificate"]
    assert cluster["deletionProtection"]


@pytest.mark.parametrize("stack", CLOUD)
def test_nodes_are_shielded_private_and_run_as_an_account_of_their_own(stack: str) -> None:
    pools = recorded(stack).of("NodePool")
    assert len(pools) >= 3
    for name, pool in pools.items():
        node = pool.inputs["nodeConfig"]
        assert node["serviceAccount"] == f"{stack}-nodes@acme.iam.gserviceaccount.com", name
        assert node["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}, name
        assert node["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}, name
        assert pool.inputs["networkConfig"]["enablePrivateNodes"], name
        assert pool.inputs["ignoreNodeCountChanges"], name
        assert "nodeCount" not in pool.inputs, name
    granted = [
        r.inputs["role"]
        for r in recorded(stack).of("IAMMember").values()
        if f"{stack}-nodes@" in str(r.inputs.get("member"))
    ]
    assert granted == ["roles/container.defaultNodeServiceAccount"]


def test_only_tasks_run_on_task_pools_and_they_start_from_nothing(prod: Recording) -> None:
    for name in ("default", "large", "spot"):
        pool = prod.one("NodePool", f"gke-tasks-{name}").inputs
        assert pool["autoscaling"]["totalMinNodeCount"] == 0
        (taint,) = pool["nodeConfig"]["taints"]
        assert taint == {"key": "airflow-platform/task-pool", "value": name, "effect": "NO_SCHEDULE"}
    template = yaml.safe_load(prod.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    assert template["spec"]["nodeSelector"] == {"airflow-platform/task-pool": "default"}
    (toleration,) = template["spec"]["tolerations"]
    assert toleration["key"] == "airflow-platform/task-pool"
    assert template["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    tolerant = [name for name, spec in pods(prod).items() if spec.get("tolerations") and name != "main-config:task"]
    assert tolerant == ["log-store-elasticsearch"], "on nodes of its own, and on no task's"


def test_an_upgrade_of_task_nodes_waits_for_tasks_but_not_on_spot(prod: Recording) -> None:
    waiting = prod.one("NodePool", "gke-tasks-default").inputs["upgradeSettings"]
    policy = waiting["blueGreenSettings"]["autoscaledRolloutPolicy"]
    assert policy == {"waitForDrainDuration": f"{24 * 3600}s"}
    assert prod.one("NodePool", "gke-tasks-spot").inputs["upgradeSettings"]["strategy"] == "SURGE"


def test_the_logs_nodes_have_what_elasticsearch_needs_and_nothing_else_runs_there() -> None:
    node = (
        deployed("prod", lambda tree: tree["cluster"]["nodePools"].update(logs={}))
        .one("NodePool", "gke-logs")
        .inputs["nodeConfig"]
    )
    assert node["linuxNodeConfig"]["sysctls"] == {"vm.max_map_count": "1048576"}
    assert [taint["value"] for taint in node["taints"]] == ["logs"]
    assert "gke-logs" not in recorded("dev").of("NodePool")


def test_the_database_has_a_private_address_and_is_reached_by_connectors_only(prod: Recording) -> None:
    instance = prod.one("DatabaseInstance", "cloud-sql-instance").inputs
    settings = instance["settings"]
    assert settings["ipConfiguration"]["ipv4Enabled"] is False
    assert settings["ipConfiguration"]["sslMode"] == "ENCRYPTED_ONLY"
    assert settings["connectorEnforcement"] == "REQUIRED"
    assert settings["edition"] == "ENTERPRISE"
    assert settings["availabilityType"] == "REGIONAL"
    assert settings["backupConfiguration"]["pointInTimeRecoveryEnabled"]
    assert settings["deletionProtectionEnabled"]
    assert instance["deletionProtection"]
    assert "network-managed-services" in prod.one("DatabaseInstance", "cloud-sql-instance").dependencies
    flags = {flag["name"]: flag["value"] for flag in settings["databaseFlags"]}
    assert flags == {"cloudsql.iam_authentication": "on", "max_connections": "480"}


@pytest.mark.parametrize("stack", CLOUD)
def test_whatever_uses_the_database_has_the_proxy_first_and_tasks_have_none(stack: str) -> None:
    with_proxy = set()
    for name, spec in pods(recorded(stack)).items():
        names = [container["name"] for container in spec.get("initContainers", [])]
        if "cloud-sql-proxy" in names:
            with_proxy.add(name)
            assert names[0] == "cloud-sql-proxy", name
            proxy = spec["initContainers"][0]
            assert proxy["restartPolicy"] == "Always"
            assert "--private-ip" in proxy["args"]
            assert proxy["args"][-1].startswith("acme:europe-west1:")
            assert {"startupProbe", "livenessProbe"} <= proxy.keys()
    pooled = "main-pgbouncer" in recorded(stack).of("Deployment")
    parts = {"pgbouncer"} if pooled else {"api-server", "scheduler", "dag-processor", "triggerer"}
    parts |= {"migrate", "create-admin", "database-bootstrap"}
    parts |= {"reconcile", "reconcile:cron", "db-clean:cron", "clean-task-pods:cron"}
    desk = {"database-desk-desk"} if "database-desk-desk" in recorded(stack).of("Deployment") else set[str]()
    assert with_proxy == {f"main-{part}" for part in parts} | desk


def test_airflow_finds_the_database_at_the_proxy(prod: Recording) -> None:
    assert "@127.0.0.1:5432/airflow_main" in prod.one("Secret", "main-database").inputs["stringData"]["connection"]


BACKUPS = "projects/acme-airflow-prod/roles/airflowPlatformBackupReader"


def test_every_pod_that_calls_google_acts_as_an_account_with_no_more_than_it_needs(prod: Recording) -> None:
    accounts = {
        r.inputs["metadata"]["name"]: r.inputs["metadata"].get("annotations", {}).get("iam.gke.io/gcp-service-account")
        for r in prod.of("ServiceAccount").values()
    }
    components = "prod-main-airflow@acme.iam.gserviceaccount.com"
    assert accounts == {
        "api-server": components,
        "scheduler": components,
        "airflow": components,
        "migrate": components,
        "task": "prod-main-tasks@acme.iam.gserviceaccount.com",
        "bootstrap-main": "prod-database@acme.iam.gserviceaccount.com",
        "check-backups": "prod-backup-check@acme.iam.gserviceaccount.com",
        "elasticsearch": "prod-log-store@acme.iam.gserviceaccount.com",
        **dict.fromkeys(["nginx-ingress", "prometheus", "alertmanager", "grafana", "state"]),
        **dict.fromkeys(["bootstrap", "elasticsearch-exporter", "fluentd", "kibana"]),
    }
    on_project = {
        (r.inputs["role"], r.inputs["member"].partition("@")[0].partition(":")[2]): r.inputs.get("condition")
        for r in prod.resources
        if r.type == "gcp:projects/iAMMember:IAMMember"
    }
    assert on_project.keys() == {
        ("roles/container.defaultNodeServiceAccount", "prod-nodes"),
        ("roles/cloudsql.client", "prod-main-airflow"),
        ("roles/cloudsql.client", "prod-database"),
        (BACKUPS, "prod-backup-check"),
    }
    for (role, _), condition in on_project.items():
        if role.startswith(("roles/cloudsql.", "projects/")):
            assert condition is not None
            assert '"projects/acme-airflow-prod/instances/prod-0a1b2c"' in condition["expression"]
    buckets = {(r.inputs["bucket"], r.inputs["role"]) for r in prod.of("BucketIAMMember").values()}
    named = ("acme-airflow-prod-prod-main", "acme-airflow-prod-prod-log-snapshots")
    assert buckets == {(name, "roles/storage.objectUser") for name in named}


def test_only_the_service_accounts_of_an_airflow_may_act_as_it(prod: Recording) -> None:
    bound = {r.name: r.inputs["member"] for r in prod.resources if r.type == "gcp:serviceaccount/iAMMember:IAMMember"}
    pool = "serviceAccount:acme-airflow-prod.svc.id.goog"
    assert bound == {
        "main-airflow-api-server": f"{pool}[airflow-main/api-server]",
        "main-airflow-scheduler": f"{pool}[airflow-main/scheduler]",
        "main-airflow-airflow": f"{pool}[airflow-main/airflow]",
        "main-airflow-migrate": f"{pool}[airflow-main/migrate]",
        "main-tasks-task": f"{pool}[airflow-main/task]",
        "database-bootstrap-bootstrap-main": f"{pool}[database/bootstrap-main]",
        "backup-check-check-backups": f"{pool}[database/check-backups]",
        "log-store-elasticsearch": f"{pool}[log-store/elasticsearch]",
    }


def test_logs_and_large_results_go_to_the_airflows_own_bucket(prod: Recording) -> None:
    config = airflow_cfg(recorded("dev"))
    assert config["logging"]["remote_base_log_folder"] == "gs://acme-airflow-dev-dev-main/task-logs/main"
    config = airflow_cfg(prod)
    assert config["common.io"]["xcom_objectstorage_path"] == "gs://acme-airflow-prod-prod-main/xcoms/main"
    assert config["core"]["xcom_backend"].endswith("XComObjectStorageBackend")
    bucket = prod.one("Bucket", "main-bucket").inputs
    assert bucket["uniformBucketLevelAccess"]
    assert bucket["publicAccessPrevention"] == "enforced"
    assert "common.io" not in airflow_cfg(recorded("dev"))


def test_the_keys_are_escrowed_for_nobody_but_the_break_glass_identity(prod: Recording) -> None:
    secrets = prod.of("Secret")
    escrowed = {r.inputs["secretId"] for r in secrets.values() if r.type.startswith("gcp:")}
    assert escrowed == {"prod-fernet-key-main", "prod-database-administrator"}
    readers = [(r.inputs["role"], r.inputs["members"]) for r in prod.of("SecretIamBinding").values()]
    assert readers == [("roles/secretmanager.secretAccessor", ["group:break-glass@acme.example"])] * 2
    for version in prod.of("SecretVersion").values():
        assert version.inputs["deletionPolicy"] == "ABANDON"
        assert "secretData" in version.secret_paths
    keys = prod.one("Secret", "main-keys").inputs["stringData"]
    assert prod.one("SecretVersion", "escrow-fernet-key-main").inputs["secretData"] == keys["fernet-key"]


HOLDING = {"Cluster", "DatabaseInstance", "Bucket", "Network", "Subnetwork", "Namespace", "RandomBytes", "BackupPlan"}


def test_what_holds_something_is_protected_unless_the_stack_is_ephemeral(prod: Recording) -> None:
    def holding(recording: Recording) -> list[Registered]:
        return [r for r in recording.resources if r.kind in HOLDING and r.custom]

    assert {r.kind for r in holding(prod)} == HOLDING
    assert all(r.protect for r in holding(prod))
    dev = recorded("dev")
    assert not any(r.protect for r in dev.resources)
    assert dev.one("Bucket", "main-bucket").inputs["forceDestroy"]
    assert not dev.one("Cluster", "gke-cluster").inputs["deletionProtection"]
    assert not dev.one("DatabaseInstance", "cloud-sql-instance").inputs["deletionProtection"]


def test_the_way_into_the_cluster_holds_no_authority_and_no_secret(prod: Recording) -> None:
    provider = prod.one("kubernetes", "cluster").inputs
    read = json.loads(provider["kubeconfig"])
    assert read["clusters"][0]["cluster"] == {"server": "https://gke-1.europe-west1.gke.goog"}
    assert read["users"][0]["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert "token" not in kubeconfig("prod", "x")
    assert provider["clusterIdentifier"] == "gke/acme-airflow-prod/europe-west1/prod"
    assert provider["enableConfigMapMutable"] == provider["enableSecretMutable"] == "true"


def test_a_preview_of_a_cloud_stack_that_does_not_exist_yet_shows_everything() -> None:
    assert len(deployed("prod", preview=True).resources) == len(recorded("prod").resources)


def test_an_existing_network_and_database_are_used_and_none_is_made() -> None:
    def given(tree: Tree) -> None:
        tree["network"] = {
            "kind": "existing",
            "hostProject": "acme-network",
            "network": "shared",
            "subnetwork": "airflow",
            "podsRange": "p",
            "servicesRange": "s",
        }
        tree["database"] = {"kind": "existing", "connectionName": "acme-data:europe-west1:main", "maxConnections": 100}
        tree["databaseAdministratorPassword"] = "given"

    made = deployed("prod", given)
    assert not {"Network", "Subnetwork", "Connection", "DatabaseInstance", "User"} & {r.kind for r in made.resources}
    cluster = made.one("Cluster", "gke-cluster").inputs
    assert cluster["network"] == "projects/acme-network/global/networks/shared"
    assert cluster["subnetwork"] == "projects/acme-network/regions/europe-west1/subnetworks/airflow"
    assert cluster["ipAllocationPolicy"] == {"clusterSecondaryRangeName": "p", "servicesSecondaryRangeName": "s"}
    proxy = pods(made)["main-migrate"]["initContainers"][0]
    assert proxy["args"][-1] == "acme-data:europe-west1:main"
    conditions = [
        r.inputs["condition"]["expression"] for r in made.resources if r.inputs.get("role") == "roles/cloudsql.client"
    ]
    assert all('"projects/acme-data/instances/main"' in condition for condition in conditions)
    assert made.one("Secret", "database-administrator").inputs["stringData"] == {"password": "given"}


def test_an_existing_cluster_is_used_and_none_is_made() -> None:
    def given(tree: Tree) -> None:
        tree["cluster"] = {"kind": "kubeconfig", "context": "ours"}
        tree["database"] = {"kind": "existing", "connectionName": "acme-data:europe-west1:main", "maxConnections": 100}
        tree["databaseAdministratorPassword"] = "given"

    made = deployed("prod", given)
    assert not {"Cluster", "NodePool", "Network"} & {r.kind for r in made.resources}
    assert "nodeSelector" not in pods(made)["main-scheduler"]
    assert made.of("Bucket")


def test_two_teams_share_no_identity_and_no_bucket() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"].append({**copy.deepcopy(tree["airflows"][0]), "name": "team-b", "taskPool": "large"})

    made = deployed("prod", change)
    by_bucket: dict[str, set[str]] = {}
    for name, grant in made.of("BucketIAMMember").items():
        if name.startswith("log-snapshots"):
            continue
        by_bucket.setdefault(grant.inputs["bucket"], set()).add(grant.inputs["member"])
    assert len(by_bucket) == 2
    first, second = by_bucket.values()
    assert not first & second
    template = yaml.safe_load(made.one("ConfigMap", "team-b-config").inputs["data"]["pod-template.yaml"])
    assert template["spec"]["nodeSelector"] == {"airflow-platform/task-pool": "large"}


def test_the_first_maintenance_window_begins_on_one_of_its_days() -> None:
    assert first_window(("SA", "SU"), "02:00").strftime("%a %H:%M") == "Sat 02:00"
    assert first_window(("TH",), "23:30").strftime("%a %d %H:%M") == "Thu 01 23:30"
