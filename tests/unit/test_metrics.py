"""What watches an environment: what it may see, what is sent to it, who is told, which settings are refused."""

import configparser
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.metrics.access import FIND_PODS, READ_NODES
from infra.images import images_of
from infra.settings import SettingsError
from infra.settings.sizes import connection_budgets
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import pods

HOOK = "https://hooks.slack.com/services/T0/B0/hush"
SMTP = {"host": "smtp.example.com", "user": "alerts", "sender": "alerts@example.com"}
ROUTES = [
    {"name": "everything", "to": {"kind": "slack"}},
    {"name": "main-team", "airflows": ["main"], "severities": ["page"], "to": {"kind": "pagerduty"}},
    {"name": "by-mail", "to": {"kind": "mail", "to": ["a@example.com", "b@example.com"], "smtp": SMTP}},
    {"name": "in-cluster", "to": {"kind": "webhook", "url": "http://alerts.tools.svc.cluster.local:8080/alerts"}},
]
MEASURED = {"airflow-main", "ingress", "metrics", "postgresql"}
SECRETS = {"everything": HOOK, "main-team": "hush-key", "by-mail": "hush-mail"}


def with_routes(routes: list[dict[str, Any]], secrets: dict[str, str]) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        tree["metrics"] = {"kind": "prometheus", "routes": routes}
        tree["alertSecrets"] = secrets

    return change


@pytest.fixture(scope="module")
def watched() -> Recording:
    return deployed("local", with_routes(ROUTES, SECRETS))


def file(recording: Recording, config_map: str, name: str) -> Any:
    return yaml.safe_load(recording.one("ConfigMap", config_map).inputs["data"][name])


def test_nothing_is_measured_unless_it_is_asked_for() -> None:
    plain = deployed("local")
    assert not [one.name for one in plain.resources if "metrics" in one.name or "statsd" in one.name]
    assert "[metrics]" not in plain.one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"]


def test_an_airflow_sends_to_an_exporter_of_its_own(watched: Recording) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(watched.one("ConfigMap", "main-config").inputs["data"]["airflow.cfg"])
    section = dict(parser["metrics"])
    assert section == {
        "statsd_on": "True",
        "statsd_host": "statsd.airflow-main.svc.cluster.local",
        "statsd_port": "9125",
        "statsd_prefix": "airflow",
    }
    (port,) = watched.one("Service", "main-statsd-service").inputs["spec"]["ports"]
    assert (port["port"], port["protocol"]) == (9125, "UDP")
    # A name that does not resolve when a part starts turns its metrics off for good.
    assert "main-statsd-service" in watched.one("Job", "main-migrate").dependencies


def test_the_exporter_has_the_official_charts_names_and_labels(watched: Recording) -> None:
    mappings = file(watched, "main-statsd-mappings", "statsd-mappings.yml")["mappings"]
    named = {(one["match"], one["name"], tuple(one.get("labels", {}))) for one in mappings}
    assert named >= {
        ("airflow.scheduler_heartbeat", "airflow_scheduler_heartbeat", ("type",)),
        ("airflow.dag.*.*.duration", "airflow_task_duration", ("dag_id", "task_id")),
        ("airflow.dagrun.duration.success.*", "airflow_dagrun_duration", ("dag_id",)),
        ("airflow.pool.open_slots.*", "airflow_pool_open_slots", ("pool",)),
        ("airflow.executor.queued_tasks.*", "airflow_executor_queued_tasks", ("executor",)),
        ("airflow.operator_failures_(.*)", "airflow_operator_failures", ("operator",)),
    }


def test_prometheus_may_find_pods_where_it_measures_and_read_nodes_figures_and_no_more(watched: Recording) -> None:
    roles = {name: one.inputs for name, one in watched.of("Role").items() if "metrics-prometheus" in name}
    assert {one["metadata"]["namespace"] for one in roles.values()} == MEASURED
    for one in roles.values():
        assert [rule["verbs"] for rule in one["rules"]] == [rule["verbs"] for rule in FIND_PODS]
    role = watched.one("ClusterRole", "metrics-nodes")
    assert {name for rule in role.inputs["rules"] for name in rule["resources"]} == {"nodes", "nodes/metrics"}
    assert "nodes/proxy" not in json.dumps(READ_NODES)


def test_only_what_asks_the_kubernetes_api_has_a_token(watched: Recording) -> None:
    with_token = {name for name, spec in pods(watched).items() if spec["automountServiceAccountToken"]}
    assert {name for name in with_token if name.startswith("metrics")} == {"metrics-prometheus", "metrics-state"}


def test_prometheus_asks_pods_that_say_so_in_the_namespaces_that_it_may_look_into(watched: Recording) -> None:
    configuration = file(watched, "metrics-prometheus-config", "prometheus.yml")
    jobs = {one["job_name"]: one for one in configuration["scrape_configs"]}
    assert jobs.keys() == {"pods", "nodes-metrics-cadvisor", "nodes-metrics"}
    (found,) = jobs["pods"]["kubernetes_sd_configs"]
    assert found == {"role": "pod", "namespaces": {"names": sorted(MEASURED)}}
    assert jobs["pods"]["sample_limit"] == 20_000
    dropped, _ = jobs["pods"]["metric_relabel_configs"]
    assert dropped == {"source_labels": ["__name__"], "regex": "erlang_.+", "action": "drop"}
    template = watched.one("Deployment", "main-statsd").inputs["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"


def test_samples_are_kept_for_as_long_and_as_large_as_asked(watched: Recording) -> None:
    server = watched.one("StatefulSet", "metrics-prometheus").inputs["spec"]
    (container,) = server["template"]["spec"]["containers"]
    assert "--storage.tsdb.retention.time=15d" in container["args"]
    assert "--storage.tsdb.retention.size=8GB" in container["args"]
    (claim,) = server["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"


def test_prometheus_is_told_how_many_connections_each_airflow_may_hold() -> None:
    def two(tree: Tree) -> None:
        tree["metrics"] = {"kind": "prometheus"}
        tree["database"]["maxConnections"] = 300
        more = {**tree["airflows"][0], "databaseConnections": 77}
        tree["airflows"] += [{**more, "name": "etl"}, {**more, "name": "old", "state": "retired"}]

    (group,) = file(deployed("local", two), "metrics-prometheus-config", "rules.yml")["groups"]
    known = {
        one["labels"]["airflow"]: one["expr"]
        for one in group["rules"]
        if one.get("record") == "airflow_platform_database_connections_limit"
    }
    usual = connection_budgets(settings(stack_config("local")))["main"]
    assert known == {"main": f"vector({usual})", "etl": "vector(77)"}


def test_every_route_gets_what_it_asks_for_and_its_secret_stays_in_a_file(watched: Recording) -> None:
    configuration = file(watched, "metrics-alertmanager-config", "alertmanager.yml")
    routes = {one["receiver"]: one.get("matchers") for one in configuration["route"]["routes"]}
    assert routes == {
        "everything": None,
        "main-team": ['airflow=~"main"', 'severity=~"page"'],
        "by-mail": None,
        "in-cluster": None,
    }
    assert all(one["continue"] for one in configuration["route"]["routes"])
    receivers = {one["name"]: one for one in configuration["receivers"]}
    assert receivers["everything"]["slack_configs"][0]["api_url_file"] == "/run/secrets/receivers/everything"
    assert receivers["main-team"]["pagerduty_configs"][0]["routing_key_file"] == "/run/secrets/receivers/main-team"
    assert receivers["by-mail"]["email_configs"][0]["auth_password_file"] == "/run/secrets/receivers/by-mail"
    assert "hush" not in json.dumps(configuration)
    secret = watched.one("Secret", "metrics-alertmanager-receivers")
    assert dict(secret.inputs["stringData"]) == SECRETS
    assert any(path.startswith("stringData") for path in secret.secret_paths)


def test_alertmanager_reaches_its_receivers_servers_and_nothing_else(watched: Recording) -> None:
    spec = watched.one("NetworkPolicy", "metrics-network-alertmanager").inputs["spec"]
    _, *servers = spec["egress"]
    assert [[port["port"] for port in one["ports"]] for one in servers] == [[443], [443], [587], [8080]]
    inside = servers[-1]["to"][0]["namespaceSelector"]["matchLabels"]
    assert inside == {"kubernetes.io/metadata.name": "tools"}


def test_only_prometheus_reads_an_airflows_metrics(watched: Recording) -> None:
    spec = watched.one("NetworkPolicy", "main-network-metrics-read").inputs["spec"]
    (rule,) = spec["ingress"]
    (source,) = rule["from"]
    assert source == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "prometheus"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "metrics"}},
    }


def test_people_find_grafana_beside_the_airflows(watched: Recording) -> None:
    hosts = {rule["host"] for one in watched.of("Ingress").values() for rule in one.inputs["spec"]["rules"]}
    assert "grafana.airflow.localhost" in hosts
    spec = watched.one("Deployment", "metrics-grafana").inputs["spec"]["template"]["spec"]
    env = {one["name"]: one["value"] for one in spec["containers"][0]["env"]}
    assert env["GF_SERVER_ROOT_URL"] == "https://grafana.airflow.localhost:8443"


def test_each_redis_has_an_exporter_beside_it_that_knows_the_queues() -> None:
    def celery(metrics: dict[str, Any] | None) -> Recording:
        def change(tree: Tree) -> None:
            queues = [{"name": "default"}, {"name": "heavy"}]
            tree["airflows"][0].update(executor="CeleryExecutor", celery={"queues": queues})
            tree.update({"metrics": metrics} if metrics else {})

        return deployed("local", change)

    def containers(recording: Recording) -> list[Any]:
        spec = recording.one("StatefulSet", "main-redis").inputs["spec"]["template"]["spec"]
        return list(spec["containers"])

    measured = celery({"kind": "prometheus"})
    _, exporter = containers(measured)
    env = {one["name"]: one.get("value") or one["valueFrom"] for one in exporter["env"]}
    assert env == {
        "REDIS_ADDR": "redis://127.0.0.1:6379",
        "REDIS_PASSWORD": {"secretKeyRef": {"name": "redis", "key": "password"}},
        "REDIS_EXPORTER_CHECK_SINGLE_KEYS": "db0=default,db0=heavy",
    }
    template = measured.one("StatefulSet", "main-redis").inputs["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    access = measured.one("NetworkPolicy", "main-redis-access").inputs["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in access] == [6379, 9121]
    for plain in (celery(None), celery({"kind": "prometheus", "redis": False})):
        assert [one["name"] for one in containers(plain)] == ["redis"]
        assert len(plain.one("NetworkPolicy", "main-redis-access").inputs["spec"]["ingress"]) == 1


def test_a_rabbitmq_shows_its_own_metrics_where_somebody_asks_for_them() -> None:
    def celery(metrics: dict[str, Any] | None) -> Recording:
        def change(tree: Tree) -> None:
            tree["airflows"][0].update(executor="CeleryExecutor", celery={"broker": {"kind": "rabbitmq"}})
            tree.update({"metrics": metrics} if metrics else {})

        return deployed("local", change)

    measured, plain = celery({"kind": "prometheus"}), celery(None)
    template = measured.one("StatefulSet", "main-rabbitmq").inputs["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert {"name": "metrics", "containerPort": 15692} in container["ports"]
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    access = measured.one("NetworkPolicy", "main-rabbitmq-access").inputs["spec"]["ingress"]
    assert [rule["ports"][0]["port"] for rule in access] == [5672, 15692]
    files = measured.one("Secret", "main-rabbitmq-files").inputs["stringData"]
    assert files["enabled_plugins"] == "[rabbitmq_prometheus].\n"
    assert "prometheus.tcp.port = 15692\n" in files["rabbitmq.conf"]
    without = plain.one("Secret", "main-rabbitmq-files").inputs["stringData"]
    assert without["enabled_plugins"] == "[].\n"
    assert "prometheus" not in without["rabbitmq.conf"]
    assert len(plain.one("NetworkPolicy", "main-rabbitmq-access").inputs["spec"]["ingress"]) == 1


def test_the_images_follow_what_is_asked_for() -> None:
    tree = stack_config("local-full")
    asked = {"statsd-exporter", "prometheus", "alertmanager", "kube-state-metrics"}
    assert images_of(settings(tree)) & {*asked, "grafana"} == asked


@pytest.mark.parametrize(
    ("routes", "secrets", "said"),
    [
        ([{"name": "a", "to": {"kind": "slack"}}], {}, "alertSecrets.a: is missing"),
        ([{"name": "a", "to": {"kind": "slack"}}], {"a": "https://example.com"}, "is no webhook of Slack's"),
        ([{"name": "a", "to": {"kind": "pagerduty"}}], {}, "alertSecrets.a: is missing"),
        ([], {"b": "x"}, "alertSecrets.b: there is no route of that name"),
        (
            [{"name": "a", "airflows": ["nobody"], "to": {"kind": "webhook", "url": "https://example.com"}}],
            {},
            "metrics.routes.a.airflows: there is no Airflow 'nobody'. Known are: main",
        ),
        (
            [{"name": "a", "to": {"kind": "webhook", "url": "http://example.com"}}],
            {"a": "hush"},
            "http would send the token in clear",
        ),
        ([{"name": "nobody", "to": {"kind": "webhook", "url": "https://example.com"}}], {}, "the platform's own"),
        ([{"name": "a", "to": {"kind": "mail", "to": ["a@b.c"], "smtp": SMTP}}], {}, "alertSecrets.a: is missing"),
        (
            [{"name": "a", "to": {"kind": "webhook", "url": "https://example.com"}}] * 2,
            {},
            "metrics.routes.a: the name is used 2 times",
        ),
    ],
)
def test_a_route_that_can_not_work_is_refused(routes: list[dict[str, Any]], secrets: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config("local"), with_routes(routes, secrets)))
    assert said in str(refused.value)
    assert "hush" not in str(refused.value)
