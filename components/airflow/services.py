"""Airflow's long-running parts: api-server, scheduler, dag-processor, triggerer."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apps.v1 import DeploymentStrategyArgsDict
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.airflow.access import ServiceAccounts
from components.airflow.args import AirflowArgs
from components.airflow.celery.broker import Broker
from components.airflow.configuration import API_PORT, FILES_FOLDER, SCHEDULER_HEALTH_PORT
from components.airflow.customisation import added
from components.airflow.notifications import notifier
from components.airflow.pod_operator import launch_env
from components.airflow.pods import CONFIG_MAP, Blueprint
from components.airflow.sign_in import SignInParts
from components.availability import disruption_budget
from components.workload import TAKE_OVER, Pod, checksum, metadata, pod_template, selector

ROLL: DeploymentStrategyArgsDict = {
    "type": "RollingUpdate",
    "rolling_update": {"max_surge": 1, "max_unavailable": 0},
}
REPLACE: DeploymentStrategyArgsDict = {"type": "Recreate"}
ONE_BY_ONE: DeploymentStrategyArgsDict = {
    "type": "RollingUpdate",
    "rolling_update": {"max_surge": 0, "max_unavailable": 1},
}

# A cold start imports all of Airflow: on two busy cores that takes a minute, and being killed for it never ends.
START_SECONDS = 300
DRAIN_SECONDS = 5
GRACE_SECONDS = 60
LOCAL_EXECUTOR_GRACE_SECONDS = 600


def grace_seconds(args: AirflowArgs) -> int:
    """The longest that a part takes to end: a scheduler, which with the LocalExecutor waits for its tasks."""
    return LOCAL_EXECUTOR_GRACE_SECONDS if args.runs_tasks_in_scheduler else GRACE_SECONDS


@dataclass(frozen=True)
class Services:
    """Makes the Deployments in ``namespace``, each after ``depends_on``."""

    blueprint: Blueprint
    namespace: pulumi.Output[str]
    accounts: ServiceAccounts
    parent: pulumi.Resource
    depends_on: Sequence[pulumi.Resource]
    broker: Broker | None = None
    """The scheduler sends to it."""

    def api_server(self, after: Sequence[pulumi.Resource], sign_in: SignInParts) -> kubernetes.core.v1.Service:
        """UI, REST API and the Execution API that tasks talk to; returns the Service in front of it.

        ``after`` is what makes the administrator: it also writes all roles and permissions, which every api-server does
        that finds none. Two at once end with a duplicate key.
        """
        alive = _http("/api/v2/version", API_PORT)
        pod = self.blueprint.component_pod(
            "api-server",
            ["airflow", "api-server", *(["--proxy-headers"] if self.blueprint.args.base_url else [])],
            self.blueprint.args.sizing.api_server,
            service_account=self.accounts.api_server,
            replicas=self.blueprint.args.sizing.replicas.api_server,
            api_access=True,
            # Scheme and client as the way in says; network policies let no other namespace say so.
            env=[{"name": "FORWARDED_ALLOW_IPS", "value": "*"}] if self.blueprint.args.base_url else (),
            ports={"http": API_PORT},
            mounts=sign_in.mounts,
            probes={
                "startup": _while_starting(alive),
                "liveness": {**alive, "period_seconds": 20, "failure_threshold": 6},
                "readiness": {**alive, "period_seconds": 5, "failure_threshold": 3},
            },
            # Endpoints learn late that a pod is going: it keeps answering until they have.
            lifecycle={"pre_stop": {"sleep": {"seconds": DRAIN_SECONDS}}},
            grace_period_seconds=GRACE_SECONDS + DRAIN_SECONDS,
        )
        pod = dataclasses.replace(pod, checksums={**pod.checksums, **sign_in.checksums})
        deployment = self._deployment("api-server", pod, ROLL, after)
        return kubernetes.core.v1.Service(
            f"{self.blueprint.name}-api-server-service",
            metadata=metadata("api-server", self.namespace),
            spec={
                "selector": selector(self.blueprint.name, "api-server"),
                "ports": [{"name": "http", "port": API_PORT, "target_port": "http"}],
            },
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[deployment]),
        )

    def scheduler(self) -> kubernetes.apps.v1.Deployment:
        """Decides what runs; with the LocalExecutor also runs it."""
        args = self.blueprint.args
        local = args.runs_tasks_in_scheduler
        schedulers = args.sizing.replicas.scheduler
        alive = _http("/health", SCHEDULER_HEALTH_PORT)
        pod = self.blueprint.component_pod(
            "scheduler",
            ["airflow", "scheduler"],
            args.sizing.scheduler,
            service_account=self.accounts.scheduler,
            replicas=schedulers,
            api_access=args.launches_pods or (local and args.pod_operator),
            reads_dags=local,
            env=launch_env(self.blueprint.name, args) if local else (),
            ports={"health": SCHEDULER_HEALTH_PORT},
            probes={
                "startup": _while_starting(alive),
                "liveness": {**alive, "period_seconds": 30, "failure_threshold": 5},
            },
            # With the LocalExecutor, tasks are this pod's children: they get time to end.
            grace_period_seconds=grace_seconds(args),
        )
        # Schedulers may overlap. One that runs tasks itself must not hold back its successor's memory: it goes first,
        # and where there are several, one after the other, so that something is always scheduled.
        first = ONE_BY_ONE if schedulers > 1 else REPLACE
        pod = self.broker.client(pod) if self.broker else pod
        if told := args.operation.notifications:
            pod = added(pod, notifier(CONFIG_MAP))
            known = checksum(args.checksum_key, told.document)
            pod = dataclasses.replace(pod, checksums={**pod.checksums, "notifications": known})
        return self._deployment(
            "scheduler", pod, first if local else ROLL, self.broker.resources if self.broker else ()
        )

    def dag_processor(self) -> kubernetes.apps.v1.Deployment:
        """Reads the DAG files."""
        return self._background("dag-processor", "DagProcessorJob", reads_dags=True)

    def triggerer(self) -> kubernetes.apps.v1.Deployment:
        """Waits on behalf of deferred tasks."""
        return self._background("triggerer", "TriggererJob", api_access=self.blueprint.args.pod_operator)

    def _background(
        self, part: str, job_type: str, *, reads_dags: bool = False, api_access: bool = False
    ) -> kubernetes.apps.v1.Deployment:
        sizing = self.blueprint.args.sizing
        pod = self.blueprint.component_pod(
            part,
            ["airflow", part],
            sizing.dag_processor if part == "dag-processor" else sizing.triggerer,
            service_account=self.accounts.components,
            replicas=sizing.replicas.of(part),
            reads_dags=reads_dags,
            api_access=api_access,
            probes={
                "startup": _while_starting(_heartbeat(job_type)),
                "liveness": {**_heartbeat(job_type), "period_seconds": 30, "failure_threshold": 4},
            },
        )
        return self._deployment(part, pod, ROLL)

    def _deployment(
        self,
        part: str,
        pod: Pod,
        strategy: DeploymentStrategyArgsDict,
        after: Sequence[pulumi.Resource] = (),
    ) -> kubernetes.apps.v1.Deployment:
        name, args = self.blueprint.name, self.blueprint.args
        replicas = 0 if args.retired else args.sizing.replicas.of(part)
        deployment = kubernetes.apps.v1.Deployment(
            f"{name}-{part}",
            # Whoever stopped it meanwhile, the migration or a person: how many there are is the stack file's to say.
            metadata=metadata(part, self.namespace, self.blueprint.labels(part), TAKE_OVER),
            spec={
                "replicas": replicas,
                "revision_history_limit": 3,
                "strategy": strategy,
                "selector": {"match_labels": selector(name, part)},
                "template": pod_template(pod),
            },
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=[*self.depends_on, *after]),
        )
        budget = f"{name}-{part}-budget"
        disruption_budget(budget, part, self.namespace, selector(name, part), replicas, self.parent, self.depends_on)
        return deployment


def _http(path: str, port: int) -> ProbeArgsDict:
    return {"http_get": {"path": path, "port": port}, "timeout_seconds": 10}


def _heartbeat(job_type: str) -> ProbeArgsDict:
    # Heartbeats come every 5 to 10 s; Airflow itself calls one of 30 s late.
    command = ["python", f"{FILES_FOLDER}/heartbeat.py", job_type, "120"]
    return {"exec_": {"command": command}, "timeout_seconds": 15}


def _while_starting(probe: ProbeArgsDict) -> ProbeArgsDict:
    return {**probe, "period_seconds": 3, "failure_threshold": START_SECONDS // 3}
