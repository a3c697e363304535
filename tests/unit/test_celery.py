"""The CeleryExecutor's parts, as the program registers them: broker, workers, autoscaling, Flower."""

import base64
import hashlib
import json
from typing import Any

import pytest
import yaml

from components.airflow.celery.args import Celery, Queue, Redis
from components.airflow.celery.configuration import celery_sections
from components.airflow.celery.rabbitmq import definitions
from components.workload import Resources
from infra.celery import broker_images, scales_by_cpu
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import SECRET_TEXTS, airflow_cfg, leaves, pods, stateful

HEAVY = {"name": "heavy", "concurrency": 1, "longestTaskSeconds": 7200}


def with_celery(executor: object = "CeleryExecutor", airflow: Tree | None = None, **celery: object) -> Recording:
    """The local stack with Celery, Flower and two queues."""

    def change(tree: Tree) -> None:
        tree["cluster"]["kedaNamespace"] = "keda"
        tree["secrets"] = {"main": {"elasticsearchUser": "reader", "elasticsearchPassword": "hunter2"}}
        if celery.get("broker", {}) == {"kind": "external", "transport": "amqp"}:
            tree["secrets"]["main"]["celeryBrokerUrl"] = "amqps://u:hunter2@mq.example.com//"
            broker = {"cidr": "192.0.2.7/32", "ports": [5671]}
            tree["airflows"][0]["network"] = {"componentDestinations": [broker]}
        known = {"flower": True, "longestTaskSeconds": 3600, "queues": [{"name": "default"}, HEAVY], **celery}
        tree["airflows"][0].update(executor=executor, celery=known, **(airflow or {}))

    return deployed(change=change)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return with_celery()


def workers(recording: Recording, queue: str = "default") -> dict[str, Any]:
    spec: dict[str, Any] = recording.one("StatefulSet", f"main-worker-{queue}").inputs["spec"]
    return spec


def env(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_each_queue_has_workers_of_its_own(recorded: Recording) -> None:
    for queue, concurrency in (("default", "4"), ("heavy", "1")):
        spec = workers(recorded, queue)
        (container,) = spec["template"]["spec"]["containers"]
        command = container["command"]
        assert command[command.index("--queues") + 1] == queue
        assert command[command.index("--concurrency") + 1] == concurrency
        assert spec["selector"]["matchLabels"]["airflow-platform/queue"] == queue
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        assert spec["podManagementPolicy"] == "Parallel"
        assert spec["replicas"] == 2
        budget = recorded.one("PodDisruptionBudget", f"main-worker-{queue}-budget").inputs["spec"]
        assert budget["selector"] == spec["selector"]


def test_a_worker_that_goes_has_time_for_its_longest_task_and_only_celery_hears_of_it(recorded: Recording) -> None:
    for queue, longest in (("default", 3600), ("heavy", 7200)):
        pod = workers(recorded, queue)["template"]
        assert pod["spec"]["terminationGracePeriodSeconds"] == longest + 60
        assert env(pod["spec"]["containers"][0])["DUMB_INIT_SETSID"] == "0"
        assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_a_message_stays_with_its_worker_for_longer_than_the_longest_task_of_any_queue(recorded: Recording) -> None:
    assert int(airflow_cfg(recorded)["celery_broker_transport_options"]["visibility_timeout"]) > 7200
    rabbitmq = with_celery(broker={"kind": "rabbitmq"})
    files = rabbitmq.one("Secret", "main-rabbitmq-files").inputs["stringData"]
    (line,) = [line for line in files["rabbitmq.conf"].splitlines() if line.startswith("consumer_timeout")]
    assert int(line.partition(" = ")[2]) > 7200 * 1000
    assert "visibility_timeout" not in airflow_cfg(rabbitmq)["celery_broker_transport_options"]


def test_a_worker_holds_the_way_to_the_broker_and_no_other_secret(recorded: Recording) -> None:
    pod = workers(recorded)["template"]
    secrets = {
        entry["secretKeyRef"]["name"] for entry in env(pod["spec"]["containers"][0]).values() if isinstance(entry, dict)
    }
    assert secrets == {"broker"}
    assert not [volume for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert "airflow-platform/database-client" not in pod["metadata"]["labels"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["serviceAccountName"] == "task"


def test_where_no_volume_shows_logs_a_container_of_its_own_serves_them_and_alone_has_the_key() -> None:
    store = {"kind": "gcs", "bucket": "acme-logs"}
    pod = workers(with_celery(airflow={"taskLogs": store}))["template"]["spec"]
    (server,) = pod["initContainers"]
    assert server["restartPolicy"] == "Always"
    assert server["ports"] == [{"name": "logs", "containerPort": 8793}]
    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    assert volume["secret"]["items"] == [{"key": "api-secret-key", "path": "api-secret-key"}]
    mounted = [{mount["name"] for mount in container["volumeMounts"]} for container in (server, *pod["containers"])]
    assert volume["name"] in mounted[0]
    assert volume["name"] not in mounted[1]
    assert "initContainers" not in workers(with_celery())["template"]["spec"]


def test_only_scheduler_workers_and_flower_reach_the_broker(recorded: Recording) -> None:
    policy = recorded.one("NetworkPolicy", "main-redis-access").inputs["spec"]
    (rule,) = policy["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"airflow-platform/broker-client": "true"}}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 6379}]
    clients = {
        r.name
        for r in recorded.resources
        if r.kind in {"Deployment", "StatefulSet", "Job"}
        and "airflow-platform/broker-client" in r.inputs["spec"]["template"]["metadata"]["labels"]
    }
    assert clients == {"main-scheduler", "main-flower", "main-worker-default", "main-worker-heavy"}
    for name in clients:
        environment = env(pods(recorded)[name]["containers"][0])
        assert environment["AIRFLOW__CELERY__BROKER_URL"] == {"secretKeyRef": {"name": "broker", "key": "url"}}


def test_no_secret_stands_in_an_input_that_is_not_secret(recorded: Recording) -> None:
    for one in (*recorded.resources, *with_celery(broker={"kind": "rabbitmq"}).resources):
        for path, value in leaves(one.inputs):
            if any(text in str(value) for text in (*SECRET_TEXTS, "hunter2")):
                assert one.kind == "Secret", f"{one.name}: {path}"
                assert any(path.startswith(secret) for secret in one.secret_paths), f"{one.name}: {path} is in clear"


def test_redis_has_every_write_on_its_volume_and_forgets_nothing(recorded: Recording) -> None:
    config = recorded.one("Secret", "main-redis-files").inputs["stringData"]["redis.conf"].splitlines()
    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "maxmemory 131072kb"} <= set(config)
    spec = recorded.one("StatefulSet", "main-redis").inputs["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "256Mi"
    assert [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]] == ["data"]


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_broker_that_holds_messages_is_protected_unless_the_stack_is_ephemeral(kind: str) -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0].update(executor="CeleryExecutor", celery={"broker": {"kind": kind}})
        tree["ephemeral"] = False

    assert stateful(deployed(change=change))[f"main-{kind}"].protect
    assert not stateful(with_celery(broker={"kind": kind}))[f"main-{kind}"].protect


def test_a_rotated_password_is_made_anew_and_another_url_rolls_all_that_use_it(recorded: Recording) -> None:
    rotated = with_celery(airflow={"rotations": {"brokerPassword": 1, "flowerPassword": 1}})
    for name in ("main-redis-password", "main-flower-password"):
        assert rotated.one("RandomPassword", name).inputs["keepers"] == {"rotation": "1"}
    broker = {
        (kind, name): [
            made.one(kind, name).inputs["spec"]["template"]["metadata"]["annotations"]["checksum/broker"]
            for made in (recorded, rotated, with_celery(broker={"kind": "rabbitmq"}))
        ]
        for kind, name in (("Deployment", "main-scheduler"), ("StatefulSet", "main-worker-default"))
    }
    assert [len(set(seen)) for seen in broker.values()] == [3, 3], broker
    server = recorded.one("StatefulSet", "main-redis").inputs["spec"]["template"]["metadata"]["annotations"]
    assert "checksum/files" in server


def test_rabbitmq_knows_its_user_by_a_hash_and_the_url_carries_the_password_escaped() -> None:
    rabbitmq = with_celery(broker={"kind": "rabbitmq"})
    url = rabbitmq.one("Secret", "main-broker").inputs["stringData"]["url"]
    assert url.startswith("amqp://airflow:p%40ss%27%22%24w%25rd%2F")
    assert url.endswith("@rabbitmq.airflow-main.svc.cluster.local:5672//")
    hashed = base64.b64decode(json.loads(definitions("secret"))["users"][0]["password_hash"])
    assert hashed[4:] == hashlib.sha256(hashed[:4] + b"secret").digest()


@pytest.mark.parametrize(
    ("broker", "servers"),
    [
        ({"kind": "redis"}, {"main-redis"}),
        ({"kind": "rabbitmq"}, {"main-rabbitmq", "main-redis"}),
        ({"kind": "external", "transport": "amqp"}, {"main-redis"}),
    ],
)
def test_results_are_kept_in_redis_and_never_in_the_database(broker: Tree, servers: set[str]) -> None:
    made = with_celery(broker=broker)
    names = {name for name in made.of("StatefulSet") if "worker" not in name and name != "postgresql-server"}
    assert names == servers
    held = made.one("Secret", "main-broker").inputs["stringData"]
    assert held["results"].startswith("celery_results:PolledRedis+redis://:")
    assert "/1" in held["results"] if broker["kind"] == "redis" else held["results"].endswith(":6379/0")


def test_a_queue_has_its_own_image_and_resources() -> None:
    own = {"repository": "registry.example.com/ml", "version": "v7"}
    resources = {"cpu": "3", "memory": "5Gi", "cpuLimit": "4", "memoryLimit": "6Gi"}
    made = with_celery(queues=[{"name": "default"}, {**HEAVY, "image": own, "resources": resources}])
    pod = workers(made, "heavy")["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example.com/ml:v7"
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "6Gi"}
    assert pod["metadata"]["labels"]["app.kubernetes.io/version"] == "v7"


LANE = {"name": "backfill", "concurrency": 2}


@pytest.mark.parametrize(
    ("airflow", "queue", "priority", "cpu"),
    [
        ({"backfill": {}}, LANE, "airflow-platform-backfill", "100m"),
        # Their number follows what they use of what they ask for.
        ({"backfill": {}}, {**LANE, "autoscale": {"kind": "hpa", "max": 2}}, "airflow-platform-backfill", "300m"),
        # A queue that only has this name is one like others.
        ({}, LANE, "airflow-platform-tasks", "300m"),
    ],
)
def test_workers_of_the_lane_for_backfills_go_last_and_ask_for_no_more_cpu_than_they_take_idle(
    airflow: Tree, queue: Tree, priority: str, cpu: str
) -> None:
    recording = with_celery(airflow=airflow, queues=[{"name": "default", "concurrency": 2}, queue])
    for name, expected in (("backfill", (priority, cpu)), ("default", ("airflow-platform-tasks", "300m"))):
        pod = workers(recording, name)["template"]["spec"]
        assert (pod["priorityClassName"], pod["containers"][0]["resources"]["requests"]["cpu"]) == expected


def test_flower_is_off_unless_asked_for_and_has_a_password() -> None:
    assert "main-flower" not in with_celery(flower=False).of("Deployment")
    made = with_celery()
    container = pods(made)["main-flower"]["containers"][0]
    assert env(container)["AIRFLOW__CELERY__FLOWER_BASIC_AUTH_CMD"] == "cat /run/secrets/flower/login"
    assert made.one("Service", "main-flower-service").inputs["spec"].get("type", "ClusterIP") == "ClusterIP"
    login = made.one("Secret", "main-flower").inputs["stringData"]
    assert login["login"] == f"flower:{login['password']}"


def test_several_executors_have_what_each_of_them_needs() -> None:
    both = with_celery(["CeleryExecutor", "KubernetesExecutor"])
    assert airflow_cfg(both)["core"]["executor"] == "CeleryExecutor,KubernetesExecutor"
    assert "pod-template.yaml" in both.one("ConfigMap", "main-config").inputs["data"]
    assert set(both.of("Role")) == {"ingress-role", "main-launch-task-pods", "main-migrate", "main-read-task-logs"}
    assert pods(both)["main-scheduler"]["automountServiceAccountToken"] is True
    alone = with_celery()
    assert set(alone.of("Role")) == {"ingress-role", "main-migrate"}
    assert pods(alone)["main-scheduler"]["automountServiceAccountToken"] is False
    local = with_celery(["CeleryExecutor", "LocalExecutor"])
    scheduler = local.one("Deployment", "main-scheduler").inputs["spec"]
    assert scheduler["strategy"] == {"type": "Recreate"}
    assert scheduler["template"]["spec"]["terminationGracePeriodSeconds"] == 600


@pytest.mark.parametrize(
    ("executor", "launcher"),
    [("KubernetesExecutor", "task"), ("CeleryExecutor", "task"), ("LocalExecutor", "scheduler")],
)
def test_tasks_of_every_executor_may_launch_pods_in_a_namespace_without_secrets(executor: str, launcher: str) -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0].update(executor=executor, kubernetesPodOperator=True)

    made = deployed(change=change)
    binding = made.one("RoleBinding", "main-launch-pods-binding").inputs
    assert binding["metadata"]["namespace"] == "launched-main"
    # The triggerer's account, too: it waits for the pods of deferred tasks.
    assert {(one["name"], one["namespace"]) for one in binding["subjects"]} == {
        (launcher, "airflow-main"),
        ("airflow", "airflow-main"),
    }
    assert pods(made)["main-triggerer"]["automountServiceAccountToken"] is True
    assert pods(made)["main-dag-processor"]["automountServiceAccountToken"] is False
    held = {r.inputs["metadata"]["namespace"] for r in made.of("Secret").values()}
    assert "launched-main" not in held
    waits = made.one("PodDisruptionBudget", "main-launched-budget").inputs
    assert (waits["metadata"]["namespace"], waits["spec"]["selector"]) == ("launched-main", {})
    runs_tasks = {
        "KubernetesExecutor": "main-config:task",
        "CeleryExecutor": "main-worker-default",
        "LocalExecutor": "main-scheduler",
    }[executor]
    pod = pods(made)[runs_tasks]
    assert pod["automountServiceAccountToken"] is True
    connection = json.loads(env(pod["containers"][0])["AIRFLOW_CONN_KUBERNETES_DEFAULT"])
    assert connection["extra"] == {"in_cluster": True, "namespace": "launched-main"}


def test_tasks_may_launch_nothing_unless_asked_for(recorded: Recording) -> None:
    assert "main-launch-pods" not in recorded.of("Role")
    assert "main-launched-namespace" not in recorded.of("Namespace")
    template = yaml.safe_load(deployed().one("ConfigMap", "main-config").inputs["data"]["pod-template.yaml"])
    assert template["spec"]["automountServiceAccountToken"] is False


def test_results_outlive_the_longest_task_and_workers_import_before_they_fork() -> None:
    size = Resources("1", "1Gi", "1", "1Gi")
    queue = Queue("default", 1, 7 * 86400, size, 1, "image", "v1")
    options = json.loads(celery_sections(Celery(Redis("redis"), None, (queue,)))["celery"]["extra_celery_config"])
    assert options["result_expires"] > 7 * 86400
    # dags-image/tests/test_celery_preload.py shows that these are the right ones.
    assert options["imports"] == ["airflow.dag_processing.dagbag", "airflow.providers.standard.decorators.python"]


@pytest.mark.parametrize(
    ("executor", "broker", "images"),
    [
        ("KubernetesExecutor", None, ()),
        ("CeleryExecutor", None, ("redis",)),
        ("CeleryExecutor", {"kind": "rabbitmq"}, ("redis", "rabbitmq")),
    ],
)
def test_a_machine_of_ones_own_builds_the_images_of_the_brokers_that_are_asked_for(
    executor: str, broker: Tree | None, images: tuple[str, ...]
) -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0].update({"executor": executor} | ({"celery": {"broker": broker}} if broker else {}))

    assert broker_images(settings(changed(stack_config("local"), change))) == images


@pytest.mark.parametrize(
    ("autoscale", "measured"),
    [(None, False), ({"kind": "keda", "max": 3}, False), ({"kind": "hpa", "max": 3}, True)],
)
def test_what_pods_use_is_measured_only_for_workers_that_scale_by_it(autoscale: Tree | None, measured: bool) -> None:
    def change(tree: Tree) -> None:
        tree["cluster"]["kedaNamespace"] = "keda"
        queue = {"name": "default", **({"autoscale": autoscale} if autoscale else {})}
        tree["airflows"][0].update(executor="CeleryExecutor", celery={"queues": [queue]})

    assert scales_by_cpu(settings(changed(stack_config("local"), change))) == measured
    assert not scales_by_cpu(settings(stack_config("prod")))
