"""RabbitMQ: the messages that wait for a worker. One node, on its volume."""

import base64
import hashlib
import json
from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.airflow.args import AirflowArgs
from components.airflow.celery.args import Rabbitmq
from components.airflow.celery.configuration import visibility_seconds
from components.airflow.celery.server import DATA, Address, Server
from components.workload import Container, Mount, Resources, scratch, secret_volume

PORT = 5672
METRICS_PORT = 15692
USER = "airflow"
_UID = 999  # of the official image
_FOLDER = "/run/secrets/rabbitmq"


def make_rabbitmq(
    name: str,
    asked: Rabbitmq,
    args: AirflowArgs,
    namespace: pulumi.Output[str],
    operators: Sequence[str],
    parent: pulumi.Resource,
) -> Address:
    """Makes the RabbitMQ of the Airflow ``name`` in ``namespace``."""
    assert args.celery is not None
    timeout_seconds = visibility_seconds(args.celery)
    shows = asked.measured or bool(operators)
    answers: ProbeArgsDict = {"tcp_socket": {"port": "rabbitmq"}, "period_seconds": 10, "timeout_seconds": 5}
    container = Container(
        name="rabbitmq",
        image=asked.image,
        command=["rabbitmq-server"],
        ports={"rabbitmq": PORT, **({"metrics": METRICS_PORT} if asked.measured else {})},
        resources=Resources(cpu="100m", memory="192Mi", cpu_limit="1", memory_limit=asked.memory),
        env=[
            {"name": "RABBITMQ_CONFIG_FILE", "value": f"{_FOLDER}/rabbitmq.conf"},
            # The folder on the volume is named after the node: the name must not follow the pod's.
            {"name": "RABBITMQ_NODENAME", "value": "rabbit@localhost"},
            {"name": "RABBITMQ_MNESIA_BASE", "value": "/var/lib/rabbitmq/data"},
            {"name": "RABBITMQ_LOGS", "value": "-"},
            # All the same there is a file that it opens, of its own upgrades.
            {"name": "RABBITMQ_LOG_BASE", "value": "/run/rabbitmq"},
            {"name": "RABBITMQ_ENABLED_PLUGINS_FILE", "value": f"{_FOLDER}/enabled_plugins"},
            # Erlang's cookie, which only its owner may be able to read: a volume's files are the group's.
            {"name": "HOME", "value": "/run/rabbitmq"},
            # One node needs no other: what nodes talk by is on loopback.
            {"name": "ERL_EPMD_ADDRESS", "value": "127.0.0.1"},
            {
                "name": "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "value": "-kernel inet_dist_use_interface {127,0,0,1}",
            },
        ],
        mounts=[
            Mount({"name": DATA}, "/var/lib/rabbitmq", read_only=False, claimed=True),
            Mount(secret_volume("files", "rabbitmq"), _FOLDER),
            scratch("run", "/run/rabbitmq"),
            scratch("tmp", "/tmp"),
        ],
        startup_probe={**answers, "period_seconds": 2, "failure_threshold": 150},
        readiness_probe=answers,
        liveness_probe={**answers, "period_seconds": 20, "failure_threshold": 6},
    )
    server = Server(
        kind="rabbitmq",
        image=asked.image,
        port=PORT,
        user=_UID,
        size=asked.size,
        storage_class=asked.storage_class,
        grace_period_seconds=120,
        files=lambda password: {
            "rabbitmq.conf": config(timeout_seconds, shows),
            "definitions.json": definitions(password),
            "enabled_plugins": f"[{'rabbitmq_prometheus' if shows else ''}].\n",
        },
        container=container,
        counted_port=METRICS_PORT,
    )
    return server.make(name, args, namespace, operators, parent)


def config(timeout_seconds: int, shows: bool = False) -> str:
    """``rabbitmq.conf``. The definitions are read at each start, so a new password takes effect.

    ``shows``: figures of the whole node, not of each queue and connection, of which there is no end; of queues only
    to who asks for them (``/metrics/detailed``).
    """
    shown = f"prometheus.tcp.port = {METRICS_PORT}\nmanagement_agent.disable_metrics_collector = true\n"
    metrics = shown if shows else ""
    return f"""\
listeners.tcp.default = {PORT}
load_definitions = {_FOLDER}/definitions.json
# By default, a worker that has not said after half an hour that its task is done loses its channel.
consumer_timeout = {timeout_seconds * 1000}
# Of the container's limit, not of the node's memory.
vm_memory_high_watermark.relative = 0.6
disk_free_limit.absolute = 100MB
{metrics}"""


def definitions(password: str) -> str:
    """One user, who may do everything in the one virtual host. No user ``guest`` is made beside it."""
    user = {"name": USER, "password_hash": _hash(password), "tags": []}
    rights = {"user": USER, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps({"users": [user], "vhosts": [{"name": "/"}], "permissions": [rights]})


def _hash(password: str) -> str:
    # https://www.rabbitmq.com/docs/passwords#computing-password-hash; the salt follows the password, so that the same
    # one gives the same file.
    salt = hashlib.sha256(b"salt" + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
