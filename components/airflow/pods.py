"""How every pod of one Airflow looks: the same image, configuration, logs and user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import EnvVarArgsDict, LifecycleArgsDict, ProbeArgsDict

from components.airflow.args import AirflowArgs
from components.airflow.backfill import policy
from components.airflow.configuration import CONFIG_FILE, FILES_FOLDER
from components.airflow.customisation import JOBS, added, env_checksum
from components.airflow.dags import DagParts
from components.airflow.operation_args import operation_env
from components.airflow.pooled import POOLER_CLIENT_LABEL, pooled_mount
from components.airflow.secrets import Secrets
from components.airflow.task_logs import LogStoreParts, VolumeLogs
from components.postgresql import CLIENT_LABEL
from components.workload import Container, Labels, Mount, Pod, Resources, config_volume, labels, scratch, selector

AIRFLOW_UID = 50000  # of the official image, whose files belong to group 0
AIRFLOW_GID = 0
CONFIG_MAP = "airflow-config"

FILES_MOUNT = Mount(config_volume("config", CONFIG_MAP), FILES_FOLDER)
CONFIG_ENV: EnvVarArgsDict = {"name": "AIRFLOW_CONFIG", "value": CONFIG_FILE}
TMP = scratch("tmp", "/tmp")

# dumb-init reaps what tasks leave behind and hands signals on; it is part of the official image.
INIT = ("/usr/bin/dumb-init", "--")


@dataclass(frozen=True)
class Blueprint:
    """What all pods of the Airflow ``name`` share; the parts add their own."""

    name: str
    args: AirflowArgs
    secrets: Secrets
    logs: LogStoreParts
    dags: DagParts
    config_checksum: pulumi.Output[str]

    def labels(self, component: str) -> dict[str, str]:
        """The recommended labels for a part of this Airflow."""
        return labels(self.name, component, self.args.image.version)

    def spread(self, component: str, replicas: int) -> Labels | None:
        """What to tell the pods of a part by, to have them apart. None where there is one, or where one node alone can
        mount the task logs' volume: elsewhere a pod would wait for it for ever."""
        logs = self.args.task_logs
        tied = isinstance(logs, VolumeLogs) and logs.access_mode == "ReadWriteOnce"
        return selector(self.name, component) if replicas > 1 and not tied else None

    def component_pod(
        self,
        component: str,
        command: Sequence[str],
        resources: Resources,
        *,
        service_account: pulumi.Input[str],
        direct: bool = False,
        replicas: int = 1,
        api_access: bool = False,
        reads_dags: bool = False,
        ports: Mapping[str, int] | None = None,
        probes: Mapping[str, ProbeArgsDict] | None = None,
        mounts: Sequence[Mount] = (),
        env: Sequence[EnvVarArgsDict] = (),
        restart_policy: str = "Always",
        grace_period_seconds: int = 60,
        lifecycle: LifecycleArgsDict | None = None,
        before: Sequence[Container] = (),
    ) -> Pod:
        """A pod that may use the metadata database: every component and Job, never a task.

        Through PgBouncer where there is one; ``direct`` goes past it: migrations, and whatever else needs a session of
        its own. With ``reads_dags``, DAG files are there before the component starts, and kept up to date. ``before``
        are init containers of its own, which have the database.
        """
        probe = dict(probes or {})
        stays = restart_policy == "Always"  # Jobs need no DAGs and no plugins
        reads_dags = reads_dags or (stays and self.dags.everywhere)
        pooled = None if direct else self.secrets.pooled
        proxy = None if pooled else self.args.database.proxy
        pod = Pod(
            labels={**self.labels(component), **(POOLER_CLIENT_LABEL if pooled else CLIENT_LABEL)},
            service_account=service_account,
            user=AIRFLOW_UID,
            group=AIRFLOW_GID,
            api_access=api_access,
            restart_policy=restart_policy,
            grace_period_seconds=grace_period_seconds,
            # The proxy first: nothing that comes after it may have to wait for the database in vain.
            init_containers=[
                *([proxy.sidecar()] if proxy else []),
                *(self.dags.sidecars if reads_dags else ()),
                *before,
            ],
            nodes=self.args.nodes,
            priority=self.args.priority,
            spread=self.spread(component, replicas),
            checksums={
                "config": self.config_checksum,
                "secrets": self.secrets.components_checksum,
                **({"pooler": pooled.client_checksum} if pooled else {}),
                **(self.dags.checksums if reads_dags else {}),
                **(self.dags.component_checksums if stays else {}),
                **env_checksum(self.args.customisation, self.args.checksum_key),
            },
            containers=[
                Container(
                    name=component,
                    image=self.args.image.reference,
                    command=[*INIT, *command],
                    resources=resources,
                    env=[
                        CONFIG_ENV,
                        *(self.secrets.pooled_env if pooled else self.secrets.env),
                        *self.logs.component_env,
                        *(self.dags.component_env if stays else ()),
                        *operation_env(self.args.operation),
                        *env,
                    ],
                    mounts=[
                        FILES_MOUNT,
                        TMP,
                        *self.secrets.mounts,
                        *([pooled_mount(CONFIG_MAP)] if pooled else ()),
                        *self.logs.mounts,
                        *self.logs.component_mounts,
                        *(self.dags.mounts if reads_dags else ()),
                        *mounts,
                    ],
                    ports=ports or {},
                    startup_probe=probe.get("startup"),
                    liveness_probe=probe.get("liveness"),
                    readiness_probe=probe.get("readiness"),
                    lifecycle=lifecycle,
                )
            ],
        )
        if self.args.backfill:
            pod = added(pod, policy(CONFIG_MAP))
        return added(pod, self.args.customisation.of(component if restart_policy == "Always" else JOBS))
