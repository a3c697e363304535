"""What dumps and recoveries do in a cluster: short-lived pods, Jobs run once more, an Airflow stopped and started."""

import copy
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO, cast

from kubernetes import client
from urllib3.exceptions import HTTPError

from ops.cluster_view import OURS, TIMEOUT_SECONDS, ClusterView, trouble
from ops.cron_state import runs_of_cron_jobs
from ops.pod_exec import Ended, run_in_pod
from ops.target import Target
from testbed.progress import Failure, Progress

COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
REPLICAS = "airflow-platform/replicas-before-recovery"
"""An annotation on what was stopped: how many pods it had."""
SUSPENDED = "airflow-platform/suspended-by-recovery"
"""The same on a CronJob that ran by itself before."""
MANAGER = "airflow-platform-recovery"
POLL_SECONDS = 1.0
START_SECONDS = 300  # until a short-lived pod runs; pulling its image is most of it
STOP_SECONDS = 120
GRACE_SECONDS = 5
READY_SECONDS = 900
JOB_SECONDS = 4 * 3600
KEPT_SECONDS = 3600
LOG_LINES = 20
_CONTROLLERS_OWN = ("batch.kubernetes.io/", "controller-uid", "job-name")
Tree = dict[str, Any]


class ClusterWork(ClusterView):
    """The cluster of ``target``, to change. Every method raises Failure where it can't be reached or refuses."""

    def __init__(self, target: Target, progress: Progress) -> None:
        super().__init__(target)
        self._progress = progress

    def job(self, airflow: str, component: str) -> Tree | None:
        """The newest of the platform's Jobs for this part of an Airflow, as the API describes it; None if none is."""
        found = self._ask(
            lambda: self._batch.list_job_for_all_namespaces(label_selector=OURS, _request_timeout=TIMEOUT_SECONDS)
        )
        jobs = [self._plain(job) for job in found.items]
        wanted = {INSTANCE: airflow, COMPONENT: component}
        fitting = [job for job in jobs if wanted.items() <= job["spec"]["template"]["metadata"]["labels"].items()]
        return max(fitting, key=lambda job: job["metadata"]["creationTimestamp"], default=None)

    @contextmanager
    def pod(self, manifest: Tree) -> Iterator[None]:
        """A pod that runs for as long as the block lasts."""
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        component = manifest["metadata"]["labels"][COMPONENT]
        # What an earlier command could not remove any more has ended by itself meanwhile.
        self._ask(
            lambda: self._core.delete_collection_namespaced_pod(
                namespace,
                label_selector=f"{OURS},{COMPONENT}={component}",
                field_selector="status.phase!=Running,status.phase!=Pending",
            )
        )
        try:
            self._ask(lambda: self._core.create_namespaced_pod(namespace, cast(Any, manifest)))
            self._wait_for_pod(namespace, name)
            yield
        finally:
            with suppress(client.ApiException, HTTPError):
                self._core.delete_namespaced_pod(name, namespace, grace_period_seconds=1)

    def run(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        send: BinaryIO | None = None,
        receive: Callable[[bytes], object] = lambda _: None,
    ) -> Ended:
        """Run ``command`` in a pod's first container; see ``run_in_pod``."""
        ended: Ended = self._ask(lambda: run_in_pod(self._core, namespace, pod, command, send=send, receive=receive))
        return ended

    def run_job(self, job: Tree, command: Sequence[str] | None = None) -> str:
        """Run a copy of ``job`` once, with another ``command`` if one is given; returns what it logged."""
        made = job_again(job, command)
        name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
        try:
            self._ask(lambda: self._batch.create_namespaced_job(namespace, cast(Any, made)))
            succeeded = self._wait_for_job(namespace, name)
            log = self._log_of_job(namespace, name)
        finally:
            with suppress(client.ApiException, HTTPError):
                self._batch.delete_namespaced_job(name, namespace, propagation_policy="Background")
        if not succeeded:
            end = "\n".join(f"  {line}" for line in log.splitlines()[-LOG_LINES:])
            raise Failure(f"the Job {name} in namespace {namespace} failed. The end of its log:\n{end}")
        return log

    def stop(self, namespace: str) -> None:
        """Take all that runs in ``namespace`` down to no pod, brokers aside, and wait until the pods are gone.

        No CronJob begins any more, either.

        Without their own grace periods: what they would bring to an end in them is about to be replaced. How many pods
        each had is kept on it, so that ``start`` finds it after an interruption, too.
        """
        for cron in self.cron_jobs():
            if cron.metadata.namespace == namespace and not cron.spec.suspend:
                self._suspend(cron, {SUSPENDED: "true"}, True)
        workloads = self._workloads(namespace)
        for workload in workloads:
            if workload.spec.replicas:
                self._scale(namespace, workload, 0, str(workload.spec.replicas))
        selectors = [
            ",".join(f"{key}={value}" for key, value in workload.spec.selector.match_labels.items())
            for workload in workloads
        ]
        selectors += self._end_runs_of_cron_jobs(namespace)
        for selector in selectors:
            self._end_pods(namespace, selector)
        end = time.monotonic() + STOP_SECONDS
        while left := [pod for selector in selectors for pod in self._pods_of(namespace, selector)]:
            self._progress.note(f"waiting for {', '.join(pod.metadata.name for pod in left)} to end")
            if time.monotonic() > end:
                raise Failure(f"pods in {namespace} do not end: {', '.join(pod.metadata.name for pod in left)}")
            time.sleep(POLL_SECONDS)

    def start(self, namespace: str) -> None:
        """Bring what ``stop`` stopped back to as many pods as before, and wait until all are ready."""
        for workload in self._workloads(namespace):
            before = (workload.metadata.annotations or {}).get(REPLICAS)
            if before is not None:
                self._scale(namespace, workload, workload.spec.replicas or int(before), None)
        for cron in self.cron_jobs():
            if cron.metadata.namespace == namespace and SUSPENDED in (cron.metadata.annotations or {}):
                self._suspend(cron, {SUSPENDED: None}, None)
        end = time.monotonic() + READY_SECONDS
        while waiting := [one.metadata.name for one in self._workloads(namespace) if not _is_ready(one)]:
            wrong = [
                f"{pod.metadata.name}: {problem}" for pod in self._pods_of(namespace, OURS) if (problem := trouble(pod))
            ]
            self._progress.note(", ".join(wrong) or f"waiting for {', '.join(waiting)}")
            if time.monotonic() > end:
                listed = "".join(f"\n  {line}" for line in wrong)
                raise Failure(f"not ready in {namespace}: {', '.join(waiting)}{listed}")
            time.sleep(POLL_SECONDS)

    def _plain(self, described: Any) -> Tree:
        """An object as the API describes it."""
        return cast(Tree, self._core.api_client.sanitize_for_serialization(described))

    def _workloads(self, namespace: str) -> list[Any]:
        """Deployments, and the workers' StatefulSets; what a broker holds is messages, which are to stay."""
        deployments, workers = (
            self._ask(partial(ask, namespace, label_selector=chosen, _request_timeout=TIMEOUT_SECONDS))
            for ask, chosen in (
                (self._apps.list_namespaced_deployment, OURS),
                (self._apps.list_namespaced_stateful_set, f"{OURS},{COMPONENT}=worker"),
            )
        )
        return [*deployments.items, *workers.items]

    def _scale(self, namespace: str, workload: Any, replicas: int, before: str | None) -> None:
        change = {"metadata": {"annotations": {REPLICAS: before}}, "spec": {"replicas": replicas}}
        name = workload.metadata.name
        stateful = isinstance(workload, client.V1StatefulSet)
        patch = self._apps.patch_namespaced_stateful_set if stateful else self._apps.patch_namespaced_deployment
        read = self._apps.read_namespaced_stateful_set if stateful else self._apps.read_namespaced_deployment
        self._ask(lambda: patch(name, namespace, change, field_manager=MANAGER))
        # The API server notes who set a field last, and refuses it to Pulumi from then on. So the note goes.
        while not self._ask(lambda: self._disown(namespace, name, read, patch)):
            pass

    def _suspend(self, cron: Any, note: dict[str, str | None], suspend: bool | None) -> None:
        # Pulumi does not set this field, so nothing is to be disowned.
        change = {"metadata": {"annotations": note}, "spec": {"suspend": suspend}}
        self._ask(
            lambda: self._batch.patch_namespaced_cron_job(
                cron.metadata.name, cron.metadata.namespace, change, field_manager=MANAGER
            )
        )

    def _end_runs_of_cron_jobs(self, namespace: str) -> list[str]:
        """Delete what CronJobs run at the moment; returns the selectors of its pods."""
        active = [job for job in self.jobs() if job.status.active and job.metadata.namespace == namespace]
        names = [name for _, name in sorted(runs_of_cron_jobs(active))]
        for name in names:
            self._ask(
                lambda name=name: self._batch.delete_namespaced_job(name, namespace, propagation_policy="Background")
            )
        return [f"job-name={name}" for name in names]

    def _disown(self, namespace: str, name: str, read: Callable[..., Any], patch: Callable[..., Any]) -> bool:
        """False if the workload changed while we looked."""
        found = self._plain(read(name, namespace))["metadata"]
        entries = [entry for entry in found.get("managedFields", []) if entry["manager"] != MANAGER]
        change = {"metadata": {"resourceVersion": found["resourceVersion"], "managedFields": entries}}
        try:
            patch(name, namespace, change)
        except client.ApiException as error:
            if error.status == 409:
                return False
            raise
        return True

    def _end_pods(self, namespace: str, selector: str) -> None:
        self._ask(
            lambda: self._core.delete_collection_namespaced_pod(
                namespace, label_selector=selector, grace_period_seconds=GRACE_SECONDS
            )
        )

    def _pods_of(self, namespace: str, selector: str) -> list[Any]:
        found = self._ask(
            lambda: self._core.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=TIMEOUT_SECONDS)
        )
        return list(found.items)

    def _wait_for_pod(self, namespace: str, name: str) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            pod = self._ask(lambda: self._core.read_namespaced_pod(name, namespace, _request_timeout=TIMEOUT_SECONDS))
            wrong = trouble(pod)
            if pod.status.phase == "Running" and all(status.ready for status in pod.status.container_statuses or []):
                return
            self._progress.note(wrong or f"pod {name}: {pod.status.phase}")
            if pod.status.phase in {"Failed", "Succeeded"} or time.monotonic() > end:
                raise Failure(f"pod {namespace}/{name} does not run: {wrong or pod.status.phase}")
            time.sleep(POLL_SECONDS / 4)

    def _wait_for_job(self, namespace: str, name: str) -> bool:
        """Whether it succeeded. Its own deadline sees to it that it ends."""
        while True:
            job = self._ask(
                lambda: self._batch.read_namespaced_job_status(name, namespace, _request_timeout=TIMEOUT_SECONDS)
            )
            true = {condition.type for condition in job.status.conditions or [] if condition.status == "True"}
            if true & {"Complete", "Failed"}:
                return "Complete" in true
            problems = [trouble(pod) for pod in self._pods_of(namespace, f"job-name={name}")]
            self._progress.note(next(filter(None, problems), f"Job {name}"))
            time.sleep(POLL_SECONDS / 2)

    def _log_of_job(self, namespace: str, name: str) -> str:
        pods = sorted(self._pods_of(namespace, f"job-name={name}"), key=lambda pod: pod.metadata.creation_timestamp)
        if not pods:
            return "(its pod is gone)"
        pod = pods[-1]
        container = pod.spec.containers[0].name
        return str(
            self._ask(lambda: self._core.read_namespaced_pod_log(pod.metadata.name, namespace, container=container))
        )


def job_again(job: Tree, command: Sequence[str] | None) -> Tree:
    """A Job that runs once what ``job``, as the API describes it, runs; or ``command`` in its place.

    An entry point before ``--`` (dumb-init) stays in front of a new command.
    """
    component = job["spec"]["template"]["metadata"]["labels"][COMPONENT]
    template = template_again(job, f"recover-{component}")
    container = template["spec"]["containers"][0]
    if command is not None:
        before: list[str] = container["command"]
        entry = before[: before.index("--") + 1] if "--" in before else []
        container["command"] = [*entry, *command]
        container.pop("args", None)
    part_of, _, platform = OURS.partition("=")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"recover-{component}-{secrets.token_hex(4)}",
            "namespace": job["metadata"]["namespace"],
            "labels": {part_of: platform},
        },
        # A failure is shown at once, and everything can be run again: no tries of its own. The rest is for one whose
        # command was killed.
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": JOB_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": template,
        },
    }


def template_again(job: Tree, component: str) -> Tree:
    """The pod template of ``job`` for something else: without the Job controller's labels, as another component.

    By its labels the controller knows a Job's pods, and ``ClusterWork.job`` the platform's own Jobs.
    """
    template = copy.deepcopy(job["spec"]["template"])
    labels = template["metadata"]["labels"]
    template["metadata"] = {
        "labels": {
            **{key: value for key, value in labels.items() if not key.startswith(_CONTROLLERS_OWN)},
            COMPONENT: component,
        }
    }
    return template


def _is_ready(workload: Any) -> bool:
    status, wanted = workload.status, workload.spec.replicas
    return (
        (status.observed_generation or 0) >= workload.metadata.generation
        and (status.updated_replicas or 0) == wanted
        and (status.ready_replicas or 0) == wanted
    )
