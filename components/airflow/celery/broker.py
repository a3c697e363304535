"""The way to the broker: made here or given, and what a pod needs to use it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.airflow.args import AirflowArgs
from components.airflow.celery import rabbitmq, redis
from components.airflow.celery.args import External, KedaScale, Rabbitmq, Redis
from components.airflow.celery.server import CLIENT_LABEL, Address
from components.airflow.configuration import FILES_FOLDER
from components.airflow.customisation import MODULE_PATH, PodAdditions, added
from components.workload import Pod, checksum, metadata, secret_env

SECRET = "broker"  # noqa: S105 (a name)
URL_KEY, RESULTS_KEY = "url", "results"
"""What the Secret holds: where messages go, and where what became of tasks is kept."""
_RESULTS_CLASS = "celery_results:PolledRedis"


@dataclass(frozen=True)
class Broker:
    """What the scheduler, workers and Flower get; nothing else does."""

    env: tuple[EnvVarArgsDict, ...]
    checksum: pulumi.Output[str]
    resources: tuple[pulumi.Resource, ...]

    def client(self, pod: Pod) -> Pod:
        """``pod`` with the way to the broker."""
        checksums = {**pod.checksums, "broker": self.checksum}
        return added(replace(pod, checksums=checksums), PodAdditions(env=self.env, labels=dict(CLIENT_LABEL)))


def make_broker(name: str, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource) -> Broker | None:
    """Makes the broker that ``args`` ask for in ``namespace``; None without Celery."""
    celery = args.celery
    if celery is None:
        return None
    operators = tuple({queue.scale.operator for queue in celery.queues if isinstance(queue.scale, KedaScale)})
    # Who counts messages has nothing to look for where there are only results.
    counting = operators if isinstance(celery.broker, Redis) else ()
    results = redis.make_redis(name, celery.results, args, namespace, counting, parent) if celery.results else None
    made: Sequence[pulumi.Resource] = results.resources if results else ()
    match celery.broker:
        case Redis():
            assert results is not None  # one Redis is both
            url, results_url = _redis_url(results, 0), _redis_url(results, 1)
        case Rabbitmq() as asked:
            server = rabbitmq.make_rabbitmq(name, asked, args, namespace, operators, parent)
            made = [*made, *server.resources]
            url = pulumi.Output.all(server.password, server.host).apply(
                lambda known: f"amqp://{rabbitmq.USER}:{quote(known[0], safe='')}@{known[1]}:{server.port}//"
            )
            assert results is not None  # made beside every broker that keeps none
            results_url = _redis_url(results, 0)
        case External():
            assert args.given.celery_broker_url is not None  # the settings see to it
            url = args.given.celery_broker_url
            results_url = _redis_url(results, 0) if results else url
    secret = kubernetes.core.v1.Secret(
        f"{name}-broker",
        metadata=metadata(SECRET, namespace),
        string_data={URL_KEY: url, RESULTS_KEY: results_url.apply(lambda known: f"{_RESULTS_CLASS}+{known}")},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return Broker(
        env=(
            secret_env("AIRFLOW__CELERY__BROKER_URL", SECRET, URL_KEY),
            secret_env("AIRFLOW__CELERY__RESULT_BACKEND", SECRET, RESULTS_KEY),
            # Where the class of the result backend is found.
            {"name": MODULE_PATH, "value": FILES_FOLDER},
        ),
        checksum=checksum(args.checksum_key, url, results_url),
        resources=(*made, secret),
    )


def _redis_url(server: Address, database: int) -> pulumi.Output[str]:
    # Everything in the password is escaped: Airflow expands `$NAME` in variables.
    return pulumi.Output.all(server.password, server.host).apply(
        lambda known: f"redis://:{quote(known[0], safe='')}@{known[1]}:{server.port}/{database}"
    )
