"""Who decides how many workers a queue has, as the program registers it: an autoscaler of Kubernetes', or KEDA."""

from tests.unit.test_celery import HEAVY, env, with_celery, workers


def test_the_number_of_workers_is_left_to_the_autoscaler_where_there_is_one() -> None:
    scaled = with_celery(
        queues=[
            {"name": "default", "autoscale": {"kind": "hpa", "max": 5}},
            {**HEAVY, "autoscale": {"kind": "keda", "max": 3}},
        ]
    )
    assert "replicas" not in workers(scaled)
    assert "replicas" not in workers(scaled, "heavy")
    hpa = scaled.one("HorizontalPodAutoscaler", "main-worker-default-autoscaler").inputs["spec"]
    assert hpa["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "worker-default"}
    assert (hpa["minReplicas"], hpa["maxReplicas"]) == (1, 5)
    assert hpa["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    keda = scaled.one("ScaledObject", "main-worker-heavy-scaled-object").inputs["spec"]
    assert (keda["minReplicaCount"], keda["maxReplicaCount"]) == (0, 3)
    counted = {one["name"]: one["metadata"] for one in keda["triggers"]}
    at = {"address": "redis.airflow-main.svc.cluster.local:6379", "listLength": "1"}
    assert counted == {"waiting": {**at, "listName": "heavy"}, "running": {**at, "listName": "unacked.heavy"}}
    assert keda["advanced"]["scalingModifiers"] == {"formula": "waiting + running", "target": "1"}
    login = scaled.one("TriggerAuthentication", "main-broker-authentication").inputs["spec"]
    assert login["secretTargetRef"] == [{"parameter": "password", "name": "redis", "key": "password"}]
    (rule,) = scaled.one("NetworkPolicy", "main-redis-access").inputs["spec"]["ingress"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}} in rule["from"]


def test_workers_that_keda_counts_the_tasks_of_keep_them_under_a_key_of_their_queue() -> None:
    scaled = with_celery(queues=[{"name": "default"}, {**HEAVY, "autoscale": {"kind": "keda", "max": 3}}])
    options = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__"
    of_heavy, of_default = (
        {name.removeprefix(options): value for name, value in env(container).items() if name.startswith(options)}
        for queue in ("heavy", "default")
        for container in workers(scaled, queue)["template"]["spec"]["containers"]
    )
    assert of_heavy == {
        "UNACKED_KEY": "unacked.heavy",
        "UNACKED_INDEX_KEY": "unacked.heavy.index",
        "UNACKED_MUTEX_KEY": "unacked.heavy.mutex",
    }
    assert of_default == {}


def test_keda_counts_the_messages_of_rabbitmq_taken_or_not_where_it_shows_them() -> None:
    queues = [{"name": "default", "autoscale": {"kind": "keda", "max": 3}}]
    scaled = with_celery(broker={"kind": "rabbitmq"}, queues=queues)
    (trigger,) = scaled.one("ScaledObject", "main-worker-default-scaled-object").inputs["spec"]["triggers"]
    assert trigger == {
        "type": "metrics-api",
        "metadata": {
            "url": "http://rabbitmq.airflow-main.svc.cluster.local:15692"
            "/metrics/detailed?vhost=%2F&family=queue_coarse_metrics",
            "format": "prometheus",
            "valueLocation": 'rabbitmq_detailed_queue_messages{vhost="/",queue="default"}',
            "targetValue": "4",
        },
    }
    assert "TriggerAuthentication" not in {one.kind for one in scaled.resources}
    (results,) = scaled.one("NetworkPolicy", "main-redis-access").inputs["spec"]["ingress"]
    assert "keda" not in str(results)
    files = scaled.one("Secret", "main-rabbitmq-files").inputs["stringData"]
    assert files["enabled_plugins"] == "[rabbitmq_prometheus].\n"
    ports = scaled.one("Service", "main-rabbitmq-service").inputs["spec"]["ports"]
    assert [port["port"] for port in ports] == [5672, 15692]
    clients, keda = scaled.one("NetworkPolicy", "main-rabbitmq-access").inputs["spec"]["ingress"]
    assert clients["from"] == [{"podSelector": {"matchLabels": {"airflow-platform/broker-client": "true"}}}]
    assert keda["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}]
    assert [port["port"] for port in keda["ports"]] == [15692]


def test_of_a_broker_that_is_there_keda_counts_what_waits() -> None:
    queues = [{"name": "default", "autoscale": {"kind": "keda", "max": 3}}]
    scaled = with_celery(broker={"kind": "external", "transport": "amqp"}, queues=queues)
    spec = scaled.one("ScaledObject", "main-worker-default-scaled-object").inputs["spec"]
    (trigger,) = spec["triggers"]
    assert (trigger["type"], trigger["metadata"]["queueName"]) == ("rabbitmq", "default")
    assert "scalingModifiers" not in spec["advanced"]
    login = scaled.one("TriggerAuthentication", "main-broker-authentication").inputs["spec"]
    assert login["secretTargetRef"] == [{"parameter": "host", "name": "broker", "key": "url"}]
