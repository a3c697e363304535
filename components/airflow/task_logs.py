"""Where task logs live after their pods are gone: a store is data that the configuration and the pods are made from."""

from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.workload import Mount, claim_spec, config_volume, metadata, scratch, secret_env

LOG_FOLDER = "/opt/airflow/logs"
ELASTICSEARCH_SECRET = "elasticsearch"  # noqa: S105 (a name)
AUTHORITY = "elasticsearch-authority"
AUTHORITY_FOLDER = "/run/elasticsearch-authority"
AUTHORITY_FILE = "ca.crt"
LOGGING_CONFIG = "airflow_platform_logs.config.LOGGING_CONFIG"
"""In the image: dags-image/airflow_platform_logs."""
Sections = dict[str, dict[str, str]]


@dataclass(frozen=True)
class VolumeLogs:
    """One volume that every pod of the Airflow mounts; needs one node, or a class that many nodes can write."""

    size: str = "5Gi"
    storage_class: str | None = None
    access_mode: str = "ReadWriteOnce"


@dataclass(frozen=True)
class GcsLogs:
    """A bucket; a task's log is uploaded when the task ends. The pods' identity must be able to write to it."""

    bucket: str
    prefix: str = "task-logs"


@dataclass(frozen=True)
class ElasticsearchLogs:
    """An Elasticsearch that a shipper fills from the task pods' output, read with the user and password given.

    ``version`` is the server's major one, which the client must name. ``kibana_url`` is for people's links.
    ``authority``: the certificate (PEM) that the server is known by, where it isn't one that everybody knows.
    ``ready``: what must be there before a task prints its first line.
    """

    url: str
    index_patterns: str
    version: int = 9
    kibana_url: str | None = None
    authority: pulumi.Output[str] | None = None
    ready: tuple[pulumi.Resource, ...] = ()

    @property
    def frontend(self) -> str:
        """Where the UI's link to a try's lines leads; Airflow fills in ``{log_id}``."""
        query = "_a=(query:(language:kuery,query:'log_id:%22{log_id}%22'),sort:!(!(offset,asc)))"
        return f"{self.kibana_url.rstrip('/')}/app/discover#/?{query}" if self.kibana_url else ""


TaskLogStore = VolumeLogs | GcsLogs | ElasticsearchLogs


@dataclass(frozen=True)
class LogStoreParts:
    """What a log store adds to an Airflow."""

    mounts: tuple[Mount, ...]
    """For components and task pods alike."""
    sections: Sections
    """For airflow.cfg."""
    component_env: tuple[EnvVarArgsDict, ...] = ()
    """For what reads logs; task pods do not get it."""
    component_mounts: tuple[Mount, ...] = ()
    """Likewise."""
    depends_on: tuple[pulumi.Resource, ...] = field(default=())


def log_store(
    store: TaskLogStore,
    name: str,
    namespace: pulumi.Output[str],
    protect: bool,
    parent: pulumi.Resource,
) -> LogStoreParts:
    """Makes what ``store`` needs in ``namespace`` and says what pods and configuration get from it."""
    own_disk = scratch("logs", LOG_FOLDER)
    base = {"base_log_folder": LOG_FOLDER}
    match store:
        case VolumeLogs():
            claim = kubernetes.core.v1.PersistentVolumeClaim(
                f"{name}-logs",
                metadata=metadata("logs", namespace),
                spec=claim_spec(store.size, store.access_mode, store.storage_class),
                opts=pulumi.ResourceOptions(parent=parent, protect=protect),
            )
            volume = Mount(
                {"name": "logs", "persistent_volume_claim": {"claim_name": "logs"}}, LOG_FOLDER, read_only=False
            )
            return LogStoreParts((volume,), {"logging": {**base, "remote_logging": "False"}}, depends_on=(claim,))
        case GcsLogs():
            folder = f"gs://{store.bucket}/{store.prefix}/{name}"
            remote = {"remote_logging": "True", "remote_base_log_folder": folder, "delete_local_logs": "True"}
            return LogStoreParts((own_disk,), {"logging": {**base, **remote}})
        case ElasticsearchLogs():
            sections = {
                # Remote logging stays off for Airflow: the class that is named prints and reads the lines itself.
                "logging": {
                    **base,
                    "logging_config_class": LOGGING_CONFIG,
                    "remote_logging": "False",
                    "delete_local_logs": "True",
                },
                "elasticsearch": {
                    "index_patterns": store.index_patterns,
                    "es_compat_with": str(store.version),
                    **({"frontend": store.frontend} if store.kibana_url else {}),
                },
                # A page of the UI waits for the store, not for ever.
                "elasticsearch_configs": {"request_timeout": "10", "max_retries": "1"},
            }
            # The host is a URL with user and password in it: a secret, and none that a task needs.
            env = secret_env("AIRFLOW__ELASTICSEARCH__HOST", ELASTICSEARCH_SECRET, "url")
            mounts, made = _authority(store, name, namespace, parent)
            if mounts:
                sections["elasticsearch_configs"]["ca_certs"] = f"{AUTHORITY_FOLDER}/{AUTHORITY_FILE}"
            return LogStoreParts(
                (own_disk,),
                sections,
                component_env=(env,),
                component_mounts=mounts,
                depends_on=(*made, *store.ready),
            )


def _authority(
    store: ElasticsearchLogs, name: str, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> tuple[tuple[Mount, ...], tuple[pulumi.Resource, ...]]:
    if store.authority is None:
        return (), ()
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{AUTHORITY}",
        metadata=metadata(AUTHORITY, namespace),
        data={AUTHORITY_FILE: store.authority},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return (Mount(config_volume(AUTHORITY, AUTHORITY), AUTHORITY_FOLDER),), (config,)
