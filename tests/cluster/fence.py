"""A database of the tests' own that tasks write to: it knows each try of each task by the process that made it."""

import json
from dataclasses import dataclass
from typing import Any

from kubernetes import client, utils

from testbed.images.recipes import RECIPES, image
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

NAMESPACE = "fence"
TABLE = """CREATE TABLE tries (
    id text PRIMARY KEY, run text, task text, number int, done boolean DEFAULT false,
    began timestamptz DEFAULT clock_timestamp(), alive timestamptz DEFAULT clock_timestamp())"""
# Two processes of one task that were alive at the same time.
OVERLAPS = """SELECT count(*) FROM tries one JOIN tries other
    ON one.run = other.run AND one.task = other.task AND one.id < other.id
    WHERE one.began <= other.alive AND other.began <= one.alive"""


@dataclass(frozen=True)
class Try:
    """A process that ran a task; ``done`` if it came to its end. Times in seconds since the epoch."""

    task: str
    number: int
    done: bool
    began: float
    alive: float


class Fence:
    """A PostgreSQL in a namespace of its own, which no fault of the tests touches."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        api = platform.api_client()
        self.core = client.CoreV1Api(api)
        container = {
            "name": "postgresql",
            "image": image(platform.progress, RECIPES["postgres"]).reference,
            "env": [{"name": "POSTGRES_HOST_AUTH_METHOD", "value": "trust"}],
            "readinessProbe": {"exec": {"command": ["pg_isready", "--host=127.0.0.1"]}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "50m"}},
        }
        named = {"name": NAMESPACE, "namespace": NAMESPACE}
        utils.create_from_dict(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        utils.create_from_dict(
            api, {"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": {"containers": [container]}}
        )
        wait_until(self._is_ready, 120, "the fence's database is ready")
        self._ask(TABLE)

    def _pod(self) -> Any:
        return self.core.read_namespaced_pod(NAMESPACE, NAMESPACE)

    def _is_ready(self) -> bool:
        statuses = self._pod().status.container_statuses
        return bool(statuses) and all(status.ready for status in statuses)

    @property
    def address(self) -> str:
        return str(self._pod().status.pod_ip)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.address}:5432/postgres"

    def tries(self, run_id: str) -> list[Try]:
        """Of a run, the oldest first."""
        columns = "task, number, done, extract(epoch from began) AS began, extract(epoch from alive) AS alive"
        rows = f"SELECT {columns} FROM tries WHERE run = '{run_id}' ORDER BY tries.began"
        return [Try(**row) for row in json.loads(self._ask(f"SELECT coalesce(json_agg(r), '[]') FROM ({rows}) r"))]

    def overlaps(self) -> int:
        return int(self._ask(OVERLAPS))

    def pretend(self, run_id: str, task: str, began: float, alive: float) -> None:
        """Write a try as a task would have."""
        values = f"gen_random_uuid()::text, '{run_id}', '{task}', 1, to_timestamp({began}), to_timestamp({alive})"
        self._ask(f"INSERT INTO tries (id, run, task, number, began, alive) VALUES ({values})")

    def _ask(self, statement: str) -> str:
        psql = ["psql", "--username=postgres", "--host=127.0.0.1", "--no-psqlrc", "--tuples-only", "--no-align"]
        psql.append(f"--command={statement}")
        return self.platform.kubectl(f"--namespace={NAMESPACE}", "exec", NAMESPACE, "--", *psql).strip()

    def remove(self) -> None:
        self.core.delete_namespace(NAMESPACE)
