"""Looks into a target's cluster: Secrets, pods and what is wrong with them. Reads only."""

import base64
from collections.abc import Sequence
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from components.ingress.labels import REACHED
from ops.pod_exec import run_in_pod
from ops.target import Target
from testbed.progress import Failure

OURS = "app.kubernetes.io/part-of=airflow-platform"
TIMEOUT_SECONDS = 10


def client_of(target: Target) -> client.ApiClient:
    """A client of the API of ``target``'s cluster. Raises ConfigException or OSError where no way to it is known."""
    return config.new_client_from_config(
        config_file=str(target.kubeconfig) if target.kubeconfig else None, context=target.context
    )


class ClusterView:
    """The cluster of ``target``. Every method raises Failure where it can't be reached."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._where = f"context '{target.context}' of {target.kubeconfig or 'your kubeconfig'}"
        try:
            api = client_of(target)
            self._core, self._batch = client.CoreV1Api(api), client.BatchV1Api(api)
            self._apps, self._networking = client.AppsV1Api(api), client.NetworkingV1Api(api)
        except (ConfigException, OSError) as error:
            raise Failure(f"no way to the cluster: {self._where}: {error}\n{self._mend}") from None

    @property
    def _mend(self) -> str:
        if self._target.testbed:
            return f"Mend: `make up STACK={self._target.name}` starts it."
        if self._target.made_here:
            return (
                f"Mend: `make kubeconfig STACK={self._target.name}` fetches the way; sign in with `gcloud auth login`."
            )
        return "Mend: start the cluster, or correct cluster.context and cluster.path in the stack file."

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        """A Secret's values in clear: for logging in, never for printing."""
        found = self._ask(lambda: self._core.read_namespaced_secret(name, namespace, _request_timeout=TIMEOUT_SECONDS))
        return {key: base64.b64decode(value).decode() for key, value in (found.data or {}).items()}

    def said_in(self, namespace: str, component: str, command: Sequence[str]) -> str:
        """What ``command`` prints in a running pod of a component; Failure where none runs."""
        return self._said_by(namespace, self._running(namespace, component)[0], command)

    def said_by_each(self, namespace: str, component: str, command: Sequence[str]) -> dict[str, str]:
        """The same of every running pod of a component, by its name."""
        return {pod: self._said_by(namespace, pod, command) for pod in self._running(namespace, component)}

    def _running(self, namespace: str, component: str) -> list[str]:
        selector = f"{OURS},app.kubernetes.io/component={component}"
        found = self._ask(
            lambda: self._core.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=TIMEOUT_SECONDS)
        )
        running = [pod.metadata.name for pod in found.items if pod.status.phase == "Running"]
        if not running:
            raise Failure(f"no {component} runs in {namespace}")
        return running

    def _said_by(self, namespace: str, pod: str, command: Sequence[str]) -> str:
        said: list[bytes] = []
        self._ask(lambda: run_in_pod(self._core, namespace, pod, command, receive=said.append))
        return b"".join(said).decode(errors="replace")

    def pods(self) -> list[Any]:
        """Every pod of the platform, task pods included."""
        pods = self._ask(
            lambda: self._core.list_pod_for_all_namespaces(label_selector=OURS, _request_timeout=TIMEOUT_SECONDS)
        )
        return list(pods.items)

    def log(self, namespace: str, pod: str, container: str, seconds: int) -> str:
        """What a container said in its last ``seconds``; nothing where it has not started, or is gone."""
        try:
            said: Any = self._core.read_namespaced_pod_log(
                pod,
                namespace,
                container=container,
                since_seconds=seconds,
                _request_timeout=TIMEOUT_SECONDS,
                _preload_content=False,
            )
            return said.data.decode(errors="replace")  # whatever it printed
        except (client.ApiException, HTTPError):
            return ""

    def deployments(self) -> list[Any]:
        """Every Deployment of the platform."""
        found = self._ask(
            lambda: self._apps.list_deployment_for_all_namespaces(label_selector=OURS, _request_timeout=TIMEOUT_SECONDS)
        )
        return list(found.items)

    def ingresses(self) -> list[Any]:
        """Every Ingress object in a namespace that the way in looks at, whoever made it."""
        selector = ",".join(f"{key}={value}" for key, value in REACHED.items())
        namespaces = self._ask(
            lambda: self._core.list_namespace(label_selector=selector, _request_timeout=TIMEOUT_SECONDS)
        )
        looked_at = {one.metadata.name for one in namespaces.items}
        found = self._ask(lambda: self._networking.list_ingress_for_all_namespaces(_request_timeout=TIMEOUT_SECONDS))
        return [one for one in found.items if one.metadata.namespace in looked_at]

    def cron_jobs(self) -> list[Any]:
        """Every CronJob of the platform."""
        found = self._ask(
            lambda: self._batch.list_cron_job_for_all_namespaces(label_selector=OURS, _request_timeout=TIMEOUT_SECONDS)
        )
        return list(found.items)

    def jobs(self) -> list[Any]:
        """Every Job of the platform, those that CronJobs have made included."""
        found = self._ask(
            lambda: self._batch.list_job_for_all_namespaces(label_selector=OURS, _request_timeout=TIMEOUT_SECONDS)
        )
        return list(found.items)

    def _ask(self, question: Any) -> Any:
        try:
            return question()
        except client.ApiException as error:
            raise Failure(f"{self._where} refused: {error.status} {error.reason}\n{self._mend}") from None
        except (HTTPError, OSError) as error:
            raise Failure(f"{self._where} does not answer: {type(error).__name__}\n{self._mend}") from None


def trouble(pod: Any) -> str | None:
    """What is wrong with a pod, in a few words; None if nothing is."""
    for status in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        if (waiting := status.state.waiting) and waiting.reason not in {"ContainerCreating", "PodInitializing"}:
            last = status.last_state.terminated if status.last_state else None
            ended = f"; ended with {last.reason}, exit code {last.exit_code}" if last else ""
            return f"{waiting.reason}: {waiting.message or 'no message'}{ended}"
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"{condition.reason}: {condition.message}"
    if pod.status.phase == "Failed":
        ended = [one.state.terminated for one in pod.status.container_statuses or [] if one.state.terminated]
        said = next((one.message for one in ended if one.message), None)
        return said or pod.status.message or pod.status.reason or "failed"
    return None
