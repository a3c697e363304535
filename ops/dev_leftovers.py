"""What a dev stack leaves in the cluster that its state does not know: an engine was killed between making and noting.

And whether its database is gone, which the base's desk sees to.
"""

import time
from collections.abc import Callable
from typing import Any

from kubernetes import client
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from components.airflow.secrets import role_of
from components.desk import REQUESTS_NAMESPACE, STATUS
from components.workload import OWNER
from ops.cluster_view import client_of
from ops.target import Target
from testbed.progress import Failure, Progress

NOT_FOUND = 404
GONE_SECONDS = 180
POLL_SECONDS = 1.0


class Leftovers:
    """Of the Airflow ``airflow`` in the cluster of ``base``."""

    def __init__(self, base: Target, airflow: str, progress: Progress) -> None:
        self._airflow = airflow
        self._base = base
        self._progress = progress
        try:
            api = client_of(base)
        except (ConfigException, OSError) as error:
            raise Failure(f"no way to the cluster of {base.name}: {error}\nMend: bring the base up.") from None
        self._core, self._apps, self._batch = client.CoreV1Api(api), client.AppsV1Api(api), client.BatchV1Api(api)

    def stop(self) -> None:
        """End whatever runs in its namespaces. A pod that the state does not know would hold its volumes for ever, and
        they go before the namespace does."""
        for namespace in self._namespaces():
            for delete in (
                self._apps.delete_collection_namespaced_deployment,
                self._apps.delete_collection_namespaced_stateful_set,
                self._batch.delete_collection_namespaced_cron_job,
                self._batch.delete_collection_namespaced_job,
                self._core.delete_collection_namespaced_pod,
            ):
                self._found(lambda delete=delete, name=namespace: delete(name, propagation_policy="Background"))

    def remove(self) -> None:
        """Delete its request and its namespaces where they are there still, and wait until they and its database are
        gone."""
        self._delete(self._core.read_namespaced_secret, self._core.delete_namespaced_secret, REQUESTS_NAMESPACE)
        for namespace in self._namespaces():
            self._found(lambda name=namespace: self._core.delete_namespace(name))
            self._wait(
                lambda name=namespace: self._found(lambda: self._core.read_namespace(name)) is None,
                f"namespace {namespace}",
            )
        self._wait(self._database_gone, f"database {role_of(self._airflow)}")

    def _namespaces(self) -> list[str]:
        """Those of its namespaces that are there."""
        there: list[str] = []
        for namespace in (f"airflow-{self._airflow}", f"launched-{self._airflow}"):
            if found := self._found(lambda name=namespace: self._core.read_namespace(name)):
                if not OWNER.items() <= (found.metadata.labels or {}).items():
                    raise Failure(f"namespace {namespace} is not the platform's. It was left alone.")
                there.append(namespace)
        return there

    def _delete(self, read: Callable[..., Any], delete: Callable[..., Any], namespace: str) -> None:
        if self._found(lambda: read(self._airflow, namespace)):
            self._found(lambda: delete(self._airflow, namespace))

    def _database_gone(self) -> bool:
        status = self._found(lambda: self._core.read_namespaced_config_map(STATUS, REQUESTS_NAMESPACE))
        # No desk any more: the base is gone, and its server with it.
        return status is None or role_of(self._airflow) not in ((status.data or {}).get("roles") or "").split()

    def _found(self, ask: Callable[[], Any]) -> Any:
        """What the API answers; None where there is no such thing."""
        try:
            return ask()
        except client.ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise Failure(f"the cluster of {self._base.name} refused: {error.status} {error.reason}") from None
        except HTTPError as error:
            raise Failure(f"the cluster of {self._base.name} does not answer: {error}\nMend: bring it up.") from None

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + GONE_SECONDS
        while not done():
            self._progress.note(f"waiting for {what} to be gone")
            if time.monotonic() > end:
                raise Failure(
                    f"{what} is still there after {GONE_SECONDS} s.\nMend: see what keeps it (make status "
                    f"STACK={self._base.name}; the pod database-desk makes and drops databases), and run the command "
                    "again."
                )
            time.sleep(POLL_SECONDS)
