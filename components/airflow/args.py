"""What one Airflow is made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi
from pulumi_kubernetes.networking.v1 import NetworkPolicyPeerArgsDict

from components.airflow.celery.args import Celery
from components.airflow.customisation import Customisation
from components.airflow.dag_bundles import ArtifactStore, GitBundle
from components.airflow.git_sync import GitSync
from components.airflow.operation_args import OperationArgs
from components.airflow.quota import QuotaArgs
from components.airflow.sign_in import SignIn
from components.airflow.sizing import SMALL, Sizing
from components.airflow.task_logs import TaskLogStore
from components.airflow.task_shapes import BackfillLane, TaskShape
from components.auth_proxy import AuthProxy
from components.network import AirflowNetwork
from components.workload import Nodes


class Executor(StrEnum):
    """How an Airflow runs its tasks."""

    KUBERNETES = "KubernetesExecutor"
    CELERY = "CeleryExecutor"
    LOCAL = "LocalExecutor"


@dataclass(frozen=True)
class DatabaseServer:
    """A PostgreSQL server and the administrator that may make roles and databases on it.

    ``administrator_secret`` is a Secret in ``namespace`` with the key ``password``; bootstrap Jobs run in that
    namespace, so that no Airflow's namespace ever holds it. ``administrator_checksum`` changes with that password.
    """

    host: pulumi.Input[str]
    port: int
    namespace: pulumi.Input[str]
    administrator: str
    administrator_secret: str
    administrator_checksum: pulumi.Input[str]
    client_image: str
    """An image with ``psql``."""
    proxy: AuthProxy | None = None
    """Runs beside everything that uses the server; ``host`` and ``port`` are then the proxy's."""
    bootstrap_identity: pulumi.Input[str] | None = None
    """The e-mail of Google's service account that bootstrap Jobs act as."""
    owns_access: bool = True
    """Whether the right to connect is taken from everybody on the server's other databases, too."""


@dataclass(frozen=True)
class SharedServer:
    """A server of another environment's, whose desk makes databases for who asks: see components/desk."""

    host: pulumi.Input[str]
    port: int
    client_image: str
    """An image with ``psql``."""
    requests: pulumi.Input[str]
    """The namespace that requests go to."""
    proxy: AuthProxy | None = None


@dataclass(frozen=True)
class Identity:
    """E-mails of Google's service accounts that an Airflow acts as: its ``components``, and its ``tasks``."""

    components: pulumi.Input[str]
    tasks: pulumi.Input[str]


@dataclass(frozen=True)
class Rotations:
    """How often each generated secret has been made anew: a raised number makes it anew once more."""

    database_password: int = 0
    admin_password: int = 0
    api_secret_key: int = 0
    jwt_secret: int = 0
    fernet_key: int = 0
    fernet_key_in_use: int = 0
    broker_password: int = 0
    flower_password: int = 0


@dataclass(frozen=True)
class GivenSecrets:
    """Secrets that are not to be generated. Each is a secret Output, or None."""

    database_password: pulumi.Output[str] | None = None
    admin_password: pulumi.Output[str] | None = None
    fernet_key: pulumi.Output[str] | None = None
    api_secret_key: pulumi.Output[str] | None = None
    jwt_secret: pulumi.Output[str] | None = None
    elasticsearch_user: pulumi.Output[str] | None = None
    elasticsearch_password: pulumi.Output[str] | None = None
    git_token: pulumi.Output[str] | None = None
    git_ssh_key: pulumi.Output[str] | None = None
    github_app_key: pulumi.Output[str] | None = None
    celery_broker_url: pulumi.Output[str] | None = None


@dataclass(frozen=True)
class DagImage:
    """The image with Airflow, what the DAGs need and, if they are baked, the DAGs. ``version`` labels every pod."""

    repository: str
    version: str
    digest: str | None = None

    @property
    def reference(self) -> str:
        """Repository with the digest where there is one, else with the version as tag."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.version}"


@dataclass(frozen=True)
class BakedDags:
    """DAGs in the image: new ones are a new image."""


@dataclass(frozen=True)
class BackupVolume:
    """A volume for the last three dumps from before a migration, where there is no bucket. ``size``: ``2Gi``."""

    size: str
    storage_class: str | None = None


DagSource = BakedDags | GitSync | GitBundle | ArtifactStore


@dataclass(frozen=True)
class Statsd:
    """Where an Airflow's parts and tasks send their metrics: an exporter of its own, by ``image``.

    ``reader`` are the pods that may read them, as a network policy names them.
    """

    image: str
    reader: NetworkPolicyPeerArgsDict


@dataclass(frozen=True)
class AirflowArgs:
    """Arguments of ``Airflow``.

    ``checksum_key`` keys the checksums that roll pods when what they mount changes. ``connection_limit`` is the number
    of database connections that this Airflow's role may hold. ``protect`` keeps what can't be made again from deletion.
    """

    # required
    executors: tuple[Executor, ...]
    """The first is the default; a task may name another one of them."""
    image: DagImage
    database: DatabaseServer | SharedServer
    task_logs: TaskLogStore
    checksum_key: pulumi.Output[str]

    # contents
    dags: DagSource = field(default_factory=BakedDags)

    # executors
    celery: Celery | None = None
    """With the CeleryExecutor."""
    pod_operator: bool = False
    """Whether tasks may launch pods of their own."""

    # people
    environment: str = "airflow"
    """Shown in the UI before the Airflow's name."""
    base_url: str | None = None
    admin_user: str = "admin"
    admin_email: str = "admin@example.com"
    sign_in: SignIn = field(default_factory=SignIn)

    # capacity
    parallelism: int = 32
    connection_limit: int = 60
    sizing: Sizing = SMALL

    # place
    identity: Identity | None = None
    nodes: Nodes | None = None
    """Where its components run; ``task_nodes``: where its tasks do."""
    task_nodes: Nodes | None = None
    priority: pulumi.Input[str] | None = None
    """The PriorityClass of its components. Tasks have that for tasks wherever there is one."""
    xcom_bucket: str | None = None
    """Where results of tasks above 1 MiB go; None: into the database, like all others."""

    quota: QuotaArgs | None = None
    """None: no limit of its own."""
    metrics: Statsd | None = None
    """None: nothing is measured."""
    # upkeep
    operation: OperationArgs = field(default_factory=OperationArgs)
    # tasks
    shapes: Mapping[str, TaskShape] = field(default_factory=dict)
    """Kinds of pods that tasks can ask for, by name."""
    backfill: BackfillLane | None = None
    """None: tasks of backfills run among all others."""

    # by hand
    customisation: Customisation = field(default_factory=Customisation)

    # safety
    network: AirflowNetwork | None = None
    """None: whoever can reach a pod may connect to it."""
    rotations: Rotations = field(default_factory=Rotations)
    given: GivenSecrets = field(default_factory=GivenSecrets)
    protect: bool = True
    retired: bool = False
    """Nothing of it runs any more, and nothing of it is kept from deletion."""
    export_bucket: str | None = None
    """Where dumps of the database go: before a migration, and when it is retired; None: nowhere."""
    backup_volume: BackupVolume | None = None
    """Where those before a migration go without a bucket."""

    @property
    def protected(self) -> bool:
        """Whether what can't be made again is kept from deletion."""
        return self.protect and not self.retired

    @property
    def launches_pods(self) -> bool:
        """Whether the scheduler starts a pod for a task."""
        return Executor.KUBERNETES in self.executors

    @property
    def runs_tasks_in_scheduler(self) -> bool:
        """Whether tasks are the scheduler's own processes."""
        return Executor.LOCAL in self.executors
