"""Redis: the messages that wait for a worker, and what became of tasks. One pod, every write on its volume."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.airflow.args import AirflowArgs
from components.airflow.celery.args import Celery, Redis
from components.airflow.celery.server import DATA, Address, Server
from components.workload import Container, Mount, Resources, scratch, secret_env, secret_volume

PORT = 6379
EXPORTER_PORT = 9121
_UID = 999  # of the official image
_FOLDER = "/run/secrets/redis"
_CONFIG = "redis.conf"
_PASSWORD = "password"  # noqa: S105 (a name)


def make_redis(
    name: str,
    asked: Redis,
    args: AirflowArgs,
    namespace: pulumi.Output[str],
    operators: Sequence[str],
    parent: pulumi.Resource,
) -> Address:
    """Makes the Redis of the Airflow ``name`` in ``namespace``."""
    # While it loads its data it answers, but not with PONG.
    answers: ProbeArgsDict = {
        "exec_": {"command": ["sh", "-c", f'[ "$(redis-cli -h 127.0.0.1 -p {PORT} ping)" = PONG ]']},
        "period_seconds": 10,
        "timeout_seconds": 5,
    }
    container = Container(
        name="redis",
        image=asked.image,
        command=["redis-server", f"{_FOLDER}/{_CONFIG}"],
        ports={"redis": PORT},
        resources=Resources(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit=asked.memory),
        env=[secret_env("REDISCLI_AUTH", "redis", _PASSWORD)],
        mounts=[
            Mount({"name": DATA}, "/data", read_only=False, claimed=True),
            Mount(secret_volume("files", "redis"), _FOLDER),
            scratch("tmp", "/tmp"),
        ],
        startup_probe={**answers, "period_seconds": 1, "failure_threshold": 300},
        readiness_probe=answers,
        liveness_probe={**answers, "period_seconds": 20, "failure_threshold": 6},
    )
    server = Server(
        kind="redis",
        image=asked.image,
        port=PORT,
        user=_UID,
        size=asked.size,
        storage_class=asked.storage_class,
        grace_period_seconds=60,
        files=lambda password: {_CONFIG: _config(password, asked.memory), _PASSWORD: password},
        container=container,
        beside=[_exporter(asked.exporter, args.celery)] if asked.exporter else [],
    )
    return server.make(name, args, namespace, operators, parent)


def _exporter(image: str, celery: Celery | None) -> Container:
    """Shows memory and, of a broker, how many messages wait in each queue: a list of the queue's name."""
    queues = celery.queues if celery and isinstance(celery.broker, Redis) else ()
    answers: ProbeArgsDict = {"http_get": {"path": "/health", "port": EXPORTER_PORT}, "timeout_seconds": 5}
    return Container(
        name="exporter",
        image=image,
        resources=Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi"),
        env=[
            {"name": "REDIS_ADDR", "value": f"redis://127.0.0.1:{PORT}"},
            secret_env("REDIS_PASSWORD", "redis", _PASSWORD),
            {"name": "REDIS_EXPORTER_CHECK_SINGLE_KEYS", "value": ",".join(f"db0={queue.name}" for queue in queues)},
        ],
        ports={"metrics": EXPORTER_PORT},
        startup_probe={**answers, "period_seconds": 2, "failure_threshold": 60},
        liveness_probe={**answers, "period_seconds": 60, "failure_threshold": 5},
    )


def _config(password: str, memory: str) -> str:
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
bind * -::*
port {PORT}
dir /data
requirepass "{quoted}"
# On the volume before the answer: a message that was taken survives a crash. Airflow sends a few a second.
appendonly yes
appendfsync always
save ""
# Refuse what is new rather than forget what waits. Rewriting the file takes up to as much memory again.
maxmemory {_half(memory)}kb
maxmemory-policy noeviction
"""


def _half(memory: str) -> int:
    """Half of a quantity with a binary unit, in kibibytes."""
    return int(memory[:-2]) * 1024 ** ("Ki", "Mi", "Gi", "Ti").index(memory[-2:]) // 2
