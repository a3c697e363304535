"""PgBouncer: who goes through it, who goes past it, and what each of them holds."""

import configparser
import re

import pytest

from components.airflow.pgbouncer import DRAIN_SECONDS, FINISH_SECONDS, FORGET_SECONDS
from components.airflow.pooled import RECYCLE_SECONDS, follows_prepared_statements, user_list
from components.versions import IMAGES, ImageSource
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed

DATABASE_LABEL = "airflow-platform/database-client"
POOLER_LABEL = "airflow-platform/pooler-client"
CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
COMPONENTS = ("main-api-server", "main-scheduler", "main-dag-processor", "main-triggerer")
DIRECT = ("main-migrate", "main-create-admin")


def medium(tree: Tree) -> None:
    tree["airflows"][0]["size"] = "medium"


@pytest.fixture(scope="module")
def local() -> Recording:
    return deployed("local", medium)


@pytest.fixture(scope="module")
def prod() -> Recording:
    return deployed("prod")


def template(recording: Recording, kind: str, name: str) -> Tree:
    found: Tree = recording.one(kind, name).inputs["spec"]["template"]
    return found


def connection_key(pod: Tree) -> str:
    (variable,) = [entry for entry in pod["spec"]["containers"][0]["env"] if entry["name"] == CONNECTION]
    key: str = variable["valueFrom"]["secretKeyRef"]["key"]
    return key


def sidecars(pod: Tree) -> list[str]:
    return [container["name"] for container in pod["spec"].get("initContainers", [])]


def ini(recording: Recording) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(recording.one("ConfigMap", "main-pgbouncer-config").inputs["data"]["pgbouncer.ini"])
    return parser


def test_components_go_through_it_and_jobs_go_past_it(prod: Recording) -> None:
    for name in COMPONENTS:
        pod = template(prod, "Deployment", name)
        assert connection_key(pod) == "connection-pooled", name
        assert DATABASE_LABEL not in pod["metadata"]["labels"], name
        assert pod["metadata"]["labels"][POOLER_LABEL] == "true", name
        assert sidecars(pod) == [], name
    for name in DIRECT:
        pod = template(prod, "Job", name)
        assert connection_key(pod) == "connection", name
        assert pod["metadata"]["labels"][DATABASE_LABEL] == "true", name
        assert POOLER_LABEL not in pod["metadata"]["labels"], name
        assert sidecars(pod)[0] == "cloud-sql-proxy", name


def test_it_alone_has_the_way_to_the_instance_and_the_identity_for_it(prod: Recording) -> None:
    pod = template(prod, "Deployment", "main-pgbouncer")
    assert sidecars(pod) == ["cloud-sql-proxy"]
    assert pod["spec"]["serviceAccountName"] == "airflow"
    assert not pod["spec"]["automountServiceAccountToken"]
    assert pod["metadata"]["labels"][DATABASE_LABEL] == "true"
    assert ini(prod)["databases"]["airflow_main"] == "host=127.0.0.1 port=5432 dbname=airflow_main user=airflow_main"
    assert ini(prod)["pgbouncer"]["server_tls_sslmode"] == "disable"


def test_without_it_everything_is_as_before() -> None:
    small = deployed("local")
    assert "main-pgbouncer" not in small.of("Deployment")
    assert set(small.one("Secret", "main-database").inputs["stringData"]) == {"connection", "password"}
    for name in COMPONENTS:
        pod = template(small, "Deployment", name)
        assert connection_key(pod) == "connection"
        assert pod["metadata"]["labels"][DATABASE_LABEL] == "true"
        assert set(pod["metadata"]["annotations"]) <= {"checksum/config", "checksum/secrets"}


def test_it_can_be_had_with_any_size_and_left_out_of_any() -> None:
    with_it = deployed("local", lambda t: t["airflows"][0].update(pooler={"enabled": True}))
    assert with_it.one("Deployment", "main-pgbouncer").inputs["spec"]["replicas"] == 1
    without = deployed("prod", lambda t: t["airflows"][0].update(pooler={"enabled": False}))
    assert "main-pgbouncer" not in without.of("Deployment")
    assert sidecars(template(without, "Deployment", "main-scheduler")) == ["cloud-sql-proxy"]


def test_components_wait_for_it_and_it_waits_for_the_role(local: Recording) -> None:
    for name in COMPONENTS:
        assert {"main-pgbouncer-service", "main-migrate"} <= local.one("Deployment", name).dependencies
    assert "main-database-bootstrap" in local.one("Deployment", "main-pgbouncer").dependencies
    assert "main-pgbouncer" in local.one("Service", "main-pgbouncer-service").dependencies


def test_its_name_stands_for_every_replica_so_that_clients_go_on_to_the_next(local: Recording) -> None:
    spec = local.one("Service", "main-pgbouncer-service").inputs["spec"]
    assert spec["clusterIP"] == "None"
    url = local.one("Secret", "main-database").inputs["stringData"]["connection-pooled"]
    assert "@pgbouncer.airflow-main.svc.cluster.local:6432/airflow_main" in url


def test_components_do_not_know_the_databases_password_and_a_new_one_cuts_none_of_them_off(local: Recording) -> None:
    def parts(recording: Recording) -> tuple[str, str, str]:
        database = recording.one("Secret", "main-database").inputs["stringData"]
        users = recording.one("Secret", "main-pgbouncer-auth").inputs["stringData"]["userlist.txt"]
        return database["connection"], database["connection-pooled"], users

    def rotated(tree: Tree) -> None:
        medium(tree)
        tree["secrets"] = {"main": {"databasePassword": 'n"w'}}

    before, after = parts(local), parts(deployed("local", rotated))
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert '"airflow_main" "n""w"\n' in after[2]


def test_the_file_with_its_users_carries_any_password() -> None:
    assert user_list({"airflow": 'a"b \\c'}) == '"airflow" "a""b \\c"\n'


def test_its_configuration_holds_no_secret_and_every_secret_is_one_for_pulumi(local: Recording) -> None:
    text = str(local.one("ConfigMap", "main-pgbouncer-config").inputs)
    assert "p@ss" not in text
    auth = local.one("Secret", "main-pgbouncer-auth")
    assert set(auth.inputs["stringData"]) == {"userlist.txt", "exporter-connection"}
    assert any(path.startswith("stringData") for path in auth.secret_paths)


def test_its_container_sees_no_other_secret_than_its_users(local: Recording) -> None:
    spec = template(local, "Deployment", "main-pgbouncer")["spec"]
    (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert [item["key"] for item in secret["items"]] == ["userlist.txt"]


@pytest.mark.parametrize(
    ("image", "newer"),
    [
        ("docker.io/edoburu/pgbouncer:v1.25.2-p0@sha256:" + "a" * 64, True),
        ("registry.example.com/pgbouncer:1.21.0", True),
        ("registry.example.com/pgbouncer:1.18.0-1", False),
        ("localhost/airflow-platform/pgbouncer:1a2b3c4d5e6f7081", False),
        ("registry.example.com:5000/pgbouncer@sha256:" + "1" * 64, False),
    ],
)
def test_what_needs_a_newer_pgbouncer_is_set_by_the_images_version(image: str, newer: bool) -> None:
    assert follows_prepared_statements(image) is newer

    def change(tree: Tree) -> None:
        medium(tree)
        tree["images"] = {"overrides": {"pgbouncer": image}}

    recorded = deployed("local", change)
    options = ini(recorded)["pgbouncer"]
    assert ("max_prepared_statements" in options) is newer
    assert (options.get("server_reset_query_always") == "1") is not newer
    env = template(recorded, "Deployment", "main-api-server")["spec"]["containers"][0]["env"]
    assert ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC" in {one["name"] for one in env}) is not newer


def test_the_pinned_images_version_is_known() -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+-p\d+", IMAGES["pgbouncer"].tag)
    assert follows_prepared_statements(ImageSource().reference("pgbouncer"))


def test_a_replica_goes_only_after_everybody_has_left_it(local: Recording) -> None:
    spec = template(local, "Deployment", "main-pgbouncer")["spec"]
    (bouncer, exporter) = spec["containers"]
    assert bouncer["lifecycle"]["preStop"]["exec"]["command"][-1] == (
        f"sleep {DRAIN_SECONDS}; kill -INT 1; sleep {FINISH_SECONDS}"
    )
    assert DRAIN_SECONDS >= FORGET_SECONDS + RECYCLE_SECONDS
    assert spec["terminationGracePeriodSeconds"] > DRAIN_SECONDS + FINISH_SECONDS
    env = template(local, "Deployment", "main-scheduler")["spec"]["containers"][0]["env"]
    assert {"name": "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_RECYCLE", "value": str(RECYCLE_SECONDS)} in env
    assert exporter["ports"] == [{"name": "metrics", "containerPort": 9127}]


def test_what_is_on_pythons_path_is_one_module_of_ours() -> None:
    def old(tree: Tree) -> None:
        medium(tree)
        tree["images"] = {"overrides": {"pgbouncer": "registry.example.com/pgbouncer:1.18.0"}}

    recorded = deployed("local", old)
    spec = template(recorded, "Deployment", "main-api-server")["spec"]
    env = {entry["name"]: entry.get("value") for entry in spec["containers"][0]["env"]}
    (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["mountPath"] == env["PYTHONPATH"]]
    (volume,) = [one["configMap"] for one in spec["volumes"] if one["name"] == mount["name"]]
    (item,) = volume["items"]
    module = item["path"].removesuffix(".py")
    names: dict[str, object] = {}
    exec(recorded.one("ConfigMap", "main-config").inputs["data"][item["key"]], names)  # noqa: S102 (our own file)
    for variable, wanted in (("", "connect_timeout"), ("_ASYNC", "statement_cache_size")):
        path, _, attribute = str(env[f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS{variable}"]).rpartition(".")
        assert path == module
        assert wanted in str(names[attribute])


def test_only_labelled_pods_of_its_namespace_reach_it(local: Recording) -> None:
    spec = local.one("NetworkPolicy", "main-pgbouncer-access").inputs["spec"]
    assert spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "pgbouncer"
    clients, metrics = spec["ingress"]
    assert clients["from"] == [{"podSelector": {"matchLabels": {POOLER_LABEL: "true"}}}]
    assert [port["port"] for port in clients["ports"]] == [6432]
    assert [port["port"] for port in metrics["ports"]] == [9127]
