"""A log store of the platform's own: its nodes, who may reach it, who signs in, and what it is told."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.logs import objects
from components.logs.store_args import LogStoreArgs, Retention
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed
from tests.unit.test_environment import SECRET_TEXTS, airflow_cfg, leaves, pods

SCRIPTS = ("ready.sh", "bootstrap.sh")


def kept(change: Callable[[Tree], object] = lambda _: None, **logs: object) -> Callable[[Tree], object]:
    """A stack whose Airflow reads its lines from an Elasticsearch that is made with it."""

    def own(tree: Tree) -> None:
        tree["airflows"][0]["taskLogs"] = {"kind": "elasticsearch"}
        tree["logs"] = {"kind": "own", **logs}
        change(tree)

    return own


def three(tree: Tree) -> None:
    """Production with three nodes of its own for them."""
    tree["cluster"]["nodePools"]["logs"] = {}
    tree["airflows"][0]["taskLogs"] = {"kind": "elasticsearch"}
    retention = {"days": 30, "linesPerDay": 5_000_000}
    tree["logs"] = {"kind": "own", "nodes": 3, "volumeGib": 64, "retention": retention}


@pytest.fixture(scope="module")
def small() -> Recording:
    """One node."""
    return deployed("local", kept())


@pytest.fixture(scope="module")
def prod() -> Recording:
    """Three nodes."""
    return deployed("prod", three)


def nodes(recorded: Recording) -> dict[str, Any]:
    spec: dict[str, Any] = recorded.one("StatefulSet", "log-store-elasticsearch").inputs["spec"]
    return spec


def node(recorded: Recording) -> dict[str, Any]:
    found: dict[str, Any] = nodes(recorded)["template"]["spec"]
    return found


def told(recorded: Recording) -> dict[str, Any]:
    """Elasticsearch's own configuration."""
    text = recorded.one("ConfigMap", "log-store-config").inputs["data"]["elasticsearch.yml"]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def plan(recorded: Recording) -> list[str]:
    lines: list[str] = (
        recorded.one("ConfigMap", "log-store-elasticsearch-bootstrap").inputs["data"]["plan"].splitlines()
    )
    return lines


def bodies(recorded: Recording) -> dict[str, Any]:
    """What Elasticsearch is told, by file, the users' own included."""
    files = recorded.one("ConfigMap", "log-store-elasticsearch-bootstrap").inputs["data"]
    users = recorded.one("Secret", "log-store-users").inputs["stringData"]
    return {name: json.loads(text) for name, text in {**files, **users}.items() if name.endswith(".json")}


def test_one_node_keeps_one_copy_and_three_keep_two_one_a_zone(small: Recording, prod: Recording) -> None:
    assert (nodes(small)["replicas"], nodes(prod)["replicas"]) == (1, 3)
    assert "topologySpreadConstraints" not in node(small)
    zone, machine = node(prod)["topologySpreadConstraints"]
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
    assert (machine["topologyKey"], machine["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert [bodies(one)["replicas.json"]["index"]["number_of_replicas"] for one in (small, prod)] == [0, 1]
    assert small.of("PodDisruptionBudget").keys().isdisjoint({"log-store-budget"})
    assert prod.one("PodDisruptionBudget", "log-store-budget").inputs["spec"]["maxUnavailable"] == 1


def test_nodes_find_one_another_before_they_are_ready_and_start_together(prod: Recording) -> None:
    assert nodes(prod)["podManagementPolicy"] == "Parallel"
    service = prod.one("Service", "log-store-nodes").inputs["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    configured = told(prod)
    assert configured["discovery.seed_hosts"] == ["elasticsearch-nodes.log-store.svc.cluster.local"]
    assert configured["cluster.initial_master_nodes"] == [f"elasticsearch-{number}" for number in range(3)]


def test_one_node_is_configured_as_three_are_so_that_it_may_get_two_more(small: Recording) -> None:
    assert "discovery.type" not in told(small)
    assert told(small)["cluster.initial_master_nodes"] == ["elasticsearch-0"]


def test_everything_on_the_way_is_encrypted_and_security_is_on(prod: Recording) -> None:
    configured = told(prod)
    assert configured["xpack.security.enabled"] is True
    for way in ("transport", "http"):
        assert configured[f"xpack.security.{way}.ssl.enabled"] is True
    assert configured["xpack.security.transport.ssl.verification_mode"] == "certificate"
    request = prod.one("CertRequest", "log-store-certificate-request").inputs
    assert "elasticsearch.log-store.svc.cluster.local" in request["dnsNames"]
    uses = prod.one("LocallySignedCert", "log-store-certificate").inputs["allowedUses"]
    assert {"server_auth", "client_auth"} <= set(uses)


def test_nothing_is_privileged_and_files_are_mapped_only_where_the_node_allows_it(
    small: Recording, prod: Recording
) -> None:
    for recorded in (small, prod):
        for container in [*node(recorded)["initContainers"], *node(recorded)["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    assert told(small)["node.store.allow_mmap"] is False
    # Nodes for it alone, on which vm.max_map_count is raised.
    assert told(prod)["node.store.allow_mmap"] is True
    assert node(prod)["nodeSelector"] == {"airflow-platform/pool": "logs"}
    assert [one["value"] for one in node(prod)["tolerations"]] == ["logs"]


@pytest.mark.parametrize(("memory", "heap"), [("1Gi", 512), ("4Gi", 2048), ("128Gi", 31 * 1024)])
def test_half_of_the_memory_is_javas(memory: str, heap: int) -> None:
    recorded = deployed("local", kept(memory=memory))
    (container,) = node(recorded)["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env["ES_JAVA_OPTS"].startswith(f"-Xms{heap}m -Xmx{heap}m ")
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"] == memory


def test_a_node_is_ready_by_the_clusters_health_and_alive_by_its_port(prod: Recording) -> None:
    (container,) = node(prod)["containers"]
    assert container["readinessProbe"]["exec"]["command"] == ["bash", "/run/platform/ready.sh"]
    assert container["livenessProbe"]["tcpSocket"]["port"] == 9200
    script = prod.one("ConfigMap", "log-store-config").inputs["data"]["ready.sh"]
    assert "/_cluster/health?filter_path=status" in script
    assert '"status":"green"' in script


@pytest.mark.parametrize("stack", ["small", "prod"])
def test_no_password_stands_in_clear_or_in_an_argument(stack: str, request: pytest.FixtureRequest) -> None:
    recorded: Recording = request.getfixturevalue(stack)
    seen = 0
    for one in recorded.resources:
        for path, value in leaves(one.inputs):
            if any(text in str(value) for text in SECRET_TEXTS):
                assert any(path.startswith(secret) for secret in one.secret_paths), f"{one.name}: {path} is in clear"
                assert one.kind == "Secret" or one.type.startswith("gcp:"), f"{one.name}: {path}"
                seen += one.name.startswith(("log-store", "logs-", "main-elasticsearch"))
    assert seen >= 5
    for name, spec in pods(recorded).items():
        for container in spec["containers"]:
            said = " ".join([*container.get("command", []), *container.get("args", [])])
            assert "assword" not in said, name


def test_everybody_signs_in_as_somebody_of_his_own_who_may_only_what_he_needs(prod: Recording) -> None:
    known = bodies(prod)
    assert known["user-fluentd.json"]["roles"] == ["airflow-shipper"]
    assert known["role-airflow-shipper.json"] == {
        "cluster": ["cluster:monitor/main"],
        "indices": [{"names": ["logs-airflow.*"], "privileges": ["create_doc"]}],
    }
    assert known["user-airflow-main.json"]["roles"] == ["airflow-reader-main"]
    assert known["role-airflow-reader-main.json"] == {
        "indices": [{"names": ["logs-airflow.task-main"], "privileges": ["read"]}]
    }
    assert known["role-airflow-monitor.json"] == {"cluster": ["monitor"]}
    assert known["user-viewer.json"]["roles"] == ["airflow-viewer", "kibana_admin"]
    assert known["user-kibana_system.json"].keys() == {"password"}
    passwords = [body["password"] for name, body in known.items() if name.startswith("user-")]
    assert len(set(passwords)) == len(passwords) == 5


def test_streams_are_there_before_anybody_can_sign_in(prod: Recording) -> None:
    lines = plan(prod)
    streams = [at for at, line in enumerate(lines) if line.startswith("MAKE /_data_stream/")]
    users = [at for at, line in enumerate(lines) if line.startswith("PUT /_security/user/")]
    templates = [at for at, line in enumerate(lines) if "/_ilm/" in line or "/_index_template/" in line]
    assert max(templates) < min(streams)
    assert max(streams) < min(users)
    assert "log-store-elasticsearch-bootstrap-job" in prod.one("DaemonSet", "logs-fluentd").dependencies
    assert "log-store-elasticsearch-bootstrap-job" in prod.one("Job", "main-migrate").dependencies


def test_every_file_of_the_plan_is_there_and_every_verb_is_known(prod: Recording) -> None:
    known = bodies(prod)
    script = prod.one("ConfigMap", "log-store-elasticsearch-bootstrap").inputs["data"]["bootstrap.sh"]
    for line in plan(prod):
        verb, path, *file = line.split()
        assert re.search(rf"^\s*{verb}\)", script, re.MULTILINE), line
        assert path.startswith("/_") or path == "/logs-airflow.*/_settings", line
        assert [one in known for one in file] in ([], [True]), line


def test_a_team_has_a_stream_and_a_reader_of_its_own_and_one_that_retires_loses_it() -> None:
    def two(tree: Tree) -> None:
        tree["airflows"].append({**tree["airflows"][0], "name": "team-b"})
        tree["airflows"].append({**tree["airflows"][0], "name": "team-c", "state": "retired"})
        tree["database"]["maxConnections"] = 300

    recorded = deployed("local", kept(two, components=True))
    lines = plan(recorded)
    assert [line.split()[1] for line in lines if line.startswith("MAKE")] == [
        "/_data_stream/logs-airflow.task-main",
        "/_data_stream/logs-airflow.component-main",
        "/_data_stream/logs-airflow.task-team-b",
        "/_data_stream/logs-airflow.component-team-b",
        "/_data_stream/logs-airflow.component-ingress",
    ]
    assert "DROP /_security/user/airflow-team-c" in lines
    assert airflow_cfg(recorded, "team-b")["elasticsearch"]["index_patterns"] == "logs-airflow.task-team-b"
    url = recorded.one("Secret", "team-b-elasticsearch").inputs["stringData"]["url"]
    assert url.startswith("https://airflow-team-b:")
    assert url.endswith("@elasticsearch.log-store.svc.cluster.local:9200")


def test_who_reads_and_who_writes_know_the_store_by_its_authority(prod: Recording) -> None:
    config = airflow_cfg(prod)
    assert config["elasticsearch_configs"]["ca_certs"] == "/run/elasticsearch-authority/ca.crt"
    api_server = prod.one("Deployment", "main-api-server").inputs["spec"]["template"]["spec"]["containers"][0]
    assert "/run/elasticsearch-authority" in {mount["mountPath"] for mount in api_server["volumeMounts"]}
    task = yaml.safe_load(prod.one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    assert "elasticsearch" not in json.dumps(task)
    assert "ca_file /run/authority/ca.crt" in prod.one("ConfigMap", "logs-config").inputs["data"]["authority.conf"]
    (fluentd,) = prod.one("DaemonSet", "logs-fluentd").inputs["spec"]["template"]["spec"]["containers"]
    assert "/run/authority" in {mount["mountPath"] for mount in fluentd["volumeMounts"]}
    assert {one["name"]: one.get("value") for one in fluentd["env"]}["STORE_SCHEME"] == "https"


def test_only_who_writes_reads_or_watches_reaches_the_nodes(prod: Recording) -> None:
    spec = prod.one("NetworkPolicy", "log-store-network-elasticsearch").inputs["spec"]
    http, transport = spec["ingress"]
    assert [one["port"] for one in http["ports"]] == [9200]
    outside = [peer for peer in http["from"] if "namespaceSelector" in peer]
    assert [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in outside] == [
        "logs",
        "airflow-main",
    ]
    assert [one["port"] for one in transport["ports"]] == [9300]
    assert transport["from"] == [{"podSelector": spec["podSelector"]}]
    assert prod.one("NetworkPolicy", "log-store-network-default-deny").inputs["spec"]["podSelector"] == {}
    reader = prod.one("NetworkPolicy", "main-network-api-server").inputs["spec"]["egress"]
    assert [{"port": 9200, "protocol": "TCP"}] in [rule.get("ports") for rule in reader]


def test_snapshots_go_to_a_bucket_by_an_identity_and_no_key(prod: Recording, small: Recording) -> None:
    account = prod.one("ServiceAccount", "log-store-service-account").inputs["metadata"]
    identity = account["annotations"]["iam.gke.io/gcp-service-account"]
    assert identity.startswith("prod-log-store@")
    member = prod.one("BucketIAMMember", "log-snapshots-bucket-member").inputs
    assert (member["member"], member["role"]) == (f"serviceAccount:{identity}", "roles/storage.objectUser")
    assert prod.one("Bucket", "log-snapshots-bucket").protect
    assert bodies(prod)["repository.json"]["settings"].keys() == {"bucket", "base_path"}
    assert plan(prod)[-2:] == ["PUT /_snapshot/bucket repository.json", "PUT /_slm/policy/nightly snapshots.json"]
    assert not [line for line in plan(small) if "snapshot" in line or "_slm" in line]


def test_metrics_ask_the_exporter_where_there_are_any(prod: Recording, small: Recording) -> None:
    (exporter,) = prod.one("Deployment", "log-store-exporter").inputs["spec"]["template"]["spec"]["containers"]
    assert exporter["ports"] == [{"containerPort": 9114, "name": "metrics"}]
    asked = yaml.safe_load(prod.one("ConfigMap", "metrics-prometheus-config").inputs["data"]["prometheus.yml"])
    (pods_job,) = [one for one in asked["scrape_configs"] if one["job_name"] == "pods"]
    assert {"log-store", "logs"} <= set(pods_job["kubernetes_sd_configs"][0]["namespaces"]["names"])
    assert "log-store-exporter" not in small.of("Deployment")


def test_what_holds_something_is_protected(prod: Recording, small: Recording) -> None:
    for kind, name in (("Namespace", "log-store-namespace"), ("StatefulSet", "log-store-elasticsearch")):
        assert prod.one(kind, name).protect
        assert not small.one(kind, name).protect


def test_a_raised_rotation_makes_every_password_anew() -> None:
    def of(rotation: int) -> dict[str, str]:
        recorded = deployed("local", kept(rotation=rotation))
        return {
            name: one.inputs["keepers"]["rotation"]
            for name, one in recorded.of("RandomPassword").items()
            if name.startswith("log-store-") and name.endswith("-password")
        }

    assert set(of(0).values()) == {"0"}
    assert set(of(3).values()) == {"3"}
    assert {"log-store-elastic-password", "log-store-fluentd-password", "log-store-airflow-main-password"} <= set(of(0))


def test_lines_are_rolled_over_and_deleted_as_elastic_writes_it() -> None:
    # https://www.elastic.co/docs/reference/elasticsearch/index-lifecycle-actions: phases, and the actions of each.
    policy = objects.lifecycle(Retention(days=30, rollover_days=3, rollover_gib=6))["policy"]
    assert policy.keys() == {"phases"}
    hot, delete = policy["phases"]["hot"], policy["phases"]["delete"]
    assert hot == {"min_age": "0ms", "actions": {"rollover": {"max_age": "3d", "max_primary_shard_size": "6gb"}}}
    assert delete == {"min_age": "30d", "actions": {"delete": {}}}


def test_the_template_is_of_data_streams_and_indexes_only_what_it_knows() -> None:
    template = objects.index_template(2)
    assert template["data_stream"] == {}
    assert template["priority"] > 200, "Elasticsearch's own for logs-*-* would win"
    assert template["template"]["settings"]["index.lifecycle.name"] == objects.LIFECYCLE
    assert template["template"]["mappings"]["dynamic"] is False
    assert template["template"]["settings"]["index.mapping.ignore_malformed"] is True
    assert template["template"]["mappings"]["properties"]["log_id"] == {"type": "keyword"}


def test_snapshots_are_taken_and_deleted_as_elastic_writes_it() -> None:
    # https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-slm-put-lifecycle
    policy = objects.snapshot_policy(14)
    assert policy.keys() == {"schedule", "name", "repository", "config", "retention"}
    assert re.fullmatch(r"0 \d+ \d+ \* \* \?", policy["schedule"]), "seconds first, and a day of the week or the month"
    assert policy["repository"] == objects.REPOSITORY
    assert policy["config"]["include_global_state"] is False
    assert policy["retention"]["min_count"] <= policy["retention"]["max_count"]
    assert policy["retention"]["expire_after"] == "14d"


def test_there_are_two_copies_where_there_are_two_nodes_to_hold_them() -> None:
    import pulumi

    def args(count: int) -> LogStoreArgs:
        key = pulumi.Output.from_input("k")
        return LogStoreArgs(image="i", checksum_key=key, readers=["main"], retention=Retention(1, 1, 1), nodes=count)

    assert [args(count).copies for count in (1, 3)] == [1, 2]
