"""How many workers a queue has: by the CPU that they use, or by how many tasks wait (KEDA), down to none."""

from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

from components.airflow.celery import redis
from components.airflow.celery.args import Celery, HpaScale, KedaScale, Queue
from components.airflow.celery.configuration import on_redis
from components.workload import metadata

KEDA = "keda.sh/v1alpha1"
LOGIN = "broker"


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
                    }
                },
                "triggers": [self._trigger(queue, scale)],
            },
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[self._authentication()]),
        )

    def _trigger(self, queue: Queue, scale: KedaScale) -> dict[str, pulumi.Input[object]]:
        known = {"authenticationRef": {"name": LOGIN}}
        if on_redis(self.celery):
            # https://keda.sh/docs/latest/scalers/redis-lists/; Celery's transport keeps a queue as a list of its name.
            address = self.namespace.apply(lambda namespace: f"redis.{namespace}.svc.cluster.local:{redis.PORT}")
            listed = {"address": address, "listName": queue.name, "listLength": str(scale.tasks_per_worker)}
            return {"type": "redis", "metadata": listed, **known}
        # https://keda.sh/docs/latest/scalers/rabbitmq-queue/
        waiting = {
            "protocol": "amqp",
            "queueName": queue.name,
            "mode": "QueueLength",
            "value": str(scale.tasks_per_worker),
        }
        return {"type": "rabbitmq", "metadata": waiting, **known}

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
