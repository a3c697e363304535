"""How many workers a queue has: by the CPU that they use, or by how many tasks it has (KEDA), down to none."""

from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.airflow.celery import rabbitmq, redis
from components.airflow.celery.args import Celery, External, HpaScale, KedaScale, Queue, Rabbitmq, Redis
from components.airflow.celery.configuration import on_redis
from components.workload import metadata

KEDA = "keda.sh/v1alpha1"
LOGIN = "broker"
Trigger = dict[str, object]
_TRANSPORT_OPTION = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__"


def counted_env(celery: Celery, queue: Queue) -> list[EnvVarArgsDict]:
    """What workers of ``queue`` need so that the tasks that they run can be counted: keys of its own in Redis.

    Celery's transport keeps every message that a worker has taken and not finished in a hash, by default one for all
    queues (kombu/transport/redis.py of 5.6: ``unacked_key``). Only who consumes a queue looks into it.
    """
    if not (isinstance(queue.scale, KedaScale) and on_redis(celery)):
        return []
    keys = {"UNACKED_KEY": "", "UNACKED_INDEX_KEY": ".index", "UNACKED_MUTEX_KEY": ".mutex"}
    return [{"name": f"{_TRANSPORT_OPTION}{option}", "value": f"{_taken(queue)}{end}"} for option, end in keys.items()]


def _taken(queue: Queue) -> str:
    return f"unacked.{queue.name}"


@dataclass
class Autoscaling:
    """Makes the autoscalers of one Airflow's workers in ``namespace``."""

    name: str
    namespace: pulumi.Output[str]
    celery: Celery
    parent: pulumi.Resource
    _login: CustomResource | None = field(default=None, init=False)

    def scale(self, queue: Queue, workers: kubernetes.apps.v1.StatefulSet) -> None:
        """Has the number of ``workers`` decided as ``queue`` says; nothing to do for a fixed one."""
        match queue.scale:
            case HpaScale() as scale:
                self._by_cpu(queue, scale, workers)
            case KedaScale() as scale:
                self._by_length(queue, scale, workers)
            case int():
                pass

    def _by_cpu(self, queue: Queue, scale: HpaScale, workers: kubernetes.apps.v1.StatefulSet) -> None:
        kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
            f"{self.name}-worker-{queue.name}-autoscaler",
            metadata=metadata(f"worker-{queue.name}", self.namespace),
            spec={
                "scale_target_ref": {"api_version": "apps/v1", "kind": "StatefulSet", "name": workers.metadata.name},
                "min_replicas": scale.least,
                "max_replicas": scale.most,
                "metrics": [
                    {
                        "type": "ContainerResource",
                        "container_resource": {
                            "container": "worker",
                            "name": "cpu",
                            "target": {"type": "Utilization", "average_utilization": scale.cpu_percent},
                        },
                    }
                ],
                "behavior": {
                    "scale_up": {"policies": [{"type": "Percent", "value": 100, "period_seconds": 60}]},
                    # One at a time: each that goes first waits for its tasks.
                    "scale_down": {
                        "stabilization_window_seconds": scale.scale_down_seconds,
                        "policies": [{"type": "Pods", "value": 1, "period_seconds": 60}],
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self.parent),
        )

    def _by_length(self, queue: Queue, scale: KedaScale, workers: kubernetes.apps.v1.StatefulSet) -> None:
        """Tasks that run count as those that wait do, where they can be counted.

        Else four that run, and four that wait for one of them to end, need one worker, which they have; and where none
        waits the last worker goes, which takes no more tasks while it finishes its own, nor has a successor until then.
        """
        triggers, modifiers = self._counted(queue, scale)
        signed_in = any("authenticationRef" in trigger for trigger in triggers)
        # https://keda.sh/docs/latest/reference/scaledobject-spec/
        CustomResource(
            f"{self.name}-worker-{queue.name}-scaled-object",
            api_version=KEDA,
            kind="ScaledObject",
            metadata=metadata(f"worker-{queue.name}", self.namespace),
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": workers.metadata.name},
                "minReplicaCount": scale.least,
                "maxReplicaCount": scale.most,
                "pollingInterval": scale.polling_seconds,
                # Only for the step to none; the rest is the autoscaler's that KEDA makes.
                "cooldownPeriod": scale.scale_down_seconds,
                "advanced": {
                    "horizontalPodAutoscalerConfig": {
                        "behavior": {"scaleDown": {"stabilizationWindowSeconds": scale.scale_down_seconds}}
                    },
                    **modifiers,
                },
                "triggers": triggers,
            },
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[self._authentication()] if signed_in else []),
        )

    def _counted(self, queue: Queue, scale: KedaScale) -> tuple[list[Trigger], dict[str, object]]:
        """Where KEDA looks, and how it puts together what it finds there."""
        target = str(scale.tasks_per_worker)
        known = {"authenticationRef": {"name": LOGIN}}
        match self.celery.broker:
            case Redis():
                # https://keda.sh/docs/latest/scalers/redis-lists/; Celery's transport keeps a queue as a list of its
                # name. The scaler takes the length of a hash, too.
                address = self.namespace.apply(lambda namespace: f"redis.{namespace}.svc.cluster.local:{redis.PORT}")
                at = {"address": address, "listLength": target}
                triggers: list[Trigger] = [
                    {"type": "redis", "name": name, "metadata": {**at, "listName": key}, **known}
                    for name, key in (("waiting", queue.name), ("running", _taken(queue)))
                ]
                # https://keda.sh/docs/latest/reference/scaledobject-spec/#scalingmodifiers
                return triggers, {"scalingModifiers": {"formula": "waiting + running", "target": target}}
            case Rabbitmq():
                # https://keda.sh/docs/latest/scalers/metrics-api/, https://www.rabbitmq.com/docs/prometheus
                # (``/metrics/detailed``): the one place without a management plugin that tells of both.
                url = self.namespace.apply(
                    lambda namespace: (
                        f"http://rabbitmq.{namespace}.svc.cluster.local:{rabbitmq.METRICS_PORT}"
                        "/metrics/detailed?vhost=%2F&family=queue_coarse_metrics"
                    )
                )
                place = f'rabbitmq_detailed_queue_messages{{vhost="/",queue="{queue.name}"}}'
                looked = {"url": url, "format": "prometheus", "valueLocation": place, "targetValue": target}
                return [{"type": "metrics-api", "metadata": looked}], {}
            case External():
                # https://keda.sh/docs/latest/scalers/rabbitmq-queue/; over AMQP what runs can't be counted.
                waiting = {"protocol": "amqp", "queueName": queue.name, "mode": "QueueLength", "value": target}
                return [{"type": "rabbitmq", "metadata": waiting, **known}], {}

    def _authentication(self) -> CustomResource:
        """How KEDA signs in to the broker: it reads our Secret."""
        if self._login is None:
            reference = (
                {"parameter": "password", "name": "redis", "key": "password"}
                if on_redis(self.celery)
                else {"parameter": "host", "name": "broker", "key": "url"}
            )
            self._login = CustomResource(
                f"{self.name}-broker-authentication",
                api_version=KEDA,
                kind="TriggerAuthentication",
                metadata=metadata(LOGIN, self.namespace),
                spec={"secretTargetRef": [reference]},
                opts=pulumi.ResourceOptions(parent=self.parent),
            )
        return self._login
