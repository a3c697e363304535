"""Settings of one Airflow: who it is, how it runs tasks, where its DAGs come from, where its task logs go."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from infra.settings.base import MOUNTABLE_NAME, DnsLabel, Quantity, SettingsModel
from infra.settings.network_policy import AirflowNetworkSettings
from infra.settings.planning import CONNECTIONS_PER_AIRFLOW
from infra.settings.quota import ContainerLimits, Quota

KNOWN_HOST = r"^(@(cert-authority|revoked) )?[^\s@#]\S* (ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]+=*( .*)?$"
"""One line of a ``known_hosts`` file: hosts, kind of key, key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""


class Executor(StrEnum):
    """How an Airflow runs its tasks."""

    KUBERNETES = "KubernetesExecutor"
    """Each task in a pod of its own, without access to the metadata database."""
    LOCAL = "LocalExecutor"
    """Tasks as processes of the scheduler's pod; they end when that pod does."""


class AirflowState(StrEnum):
    """Whether an Airflow runs. It leaves in two steps: retired, then removed from the stack file."""

    ACTIVE = "active"
    RETIRED = "retired"
    """Nothing of it runs, its database is exported to its bucket where it has one, its protection is lifted."""


class AirflowImage(SettingsModel):
    """The image that all components and tasks run: Airflow, and what the DAGs need. The same keys in every delivery.

    A promotion is a changed ``version`` (and ``digest``) in the stack file, so a preview shows it.
    """

    repository: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/:-]*[a-z0-9]$")] | None = None
    """Where the image is, without tag. None, on Google Cloud: the image ``dags`` of the organisation's registry."""
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
    """The tag, as ``git describe --always`` says it. At most 63 characters: it is a label on every pod."""
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Pins the image's content. Without it the tag is trusted."""


class ImageDags(AirflowImage):
    """DAGs baked into the image: its version is theirs."""

    kind: Literal["image"]


class GitSource(SettingsModel):
    """DAGs in a git repository. What a private one needs to know stands under ``secrets``."""

    repository: str
    """``https://host/path``, ``ssh://git@host/path`` or ``git@host:path``. An https one holds no user name or token."""
    ref: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}$")] = "main"
    """A branch or tag. A whole commit hash works too, and pins the DAGs."""
    subpath: Annotated[str, StringConstraints(pattern=r"^(\.|[A-Za-z0-9_][A-Za-z0-9._/-]{0,199})$")] = "dags"
    """The folder in the repository that Airflow looks for DAGs in; ``.`` is all of it."""
    depth: Annotated[int, Field(ge=0)] = 1
    """How many commits of history come along; 0: all."""
    username: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@+-]{1,64}$")] | None = None
    """Goes with the token. None: ``git``, which servers that only look at the token accept."""
    known_hosts: tuple[Annotated[str, StringConstraints(pattern=KNOWN_HOST)], ...] = ()
    """The server's public keys for ssh, lines of a ``known_hosts`` file. Others are refused."""


class GitSyncDags(AirflowImage):
    """DAGs from a git repository by git-sync, beside the image: a push is a deployment.

    All tasks run what is newest when they start, also those of runs that began before.
    """

    kind: Literal["git-sync"]
    git: GitSource
    period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Between two looks at the repository."""
    stale_worktree_seconds: Annotated[int, Field(ge=0, le=7 * 86400)] = 600
    """How long an earlier commit's files stay for who has them open. LocalExecutor: as long as the longest task."""
    max_failures: Annotated[int, Field(ge=-1, le=10_000)] = 10
    """Looks in a row that may fail until git-sync is restarted, which shows on its pod; -1: any number."""
    volume_size: Quantity = "1Gi"
    """The most that a pod's copy of the repository may take of its node's disk."""


Dags = Annotated[ImageDags | GitSyncDags, Field(discriminator="kind")]


class VolumeTaskLogs(SettingsModel):
    """Task logs on one volume that all pods of this Airflow mount. For one node, or a class that many can write."""

    kind: Literal["volume"]
    size: Quantity = "5Gi"
    storage_class: Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME)] | None = None
    """None takes the cluster's default class."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = "ReadWriteOnce"
    """``ReadWriteOnce`` ties every pod to one node: right for one-node clusters only."""


class GcsTaskLogs(SettingsModel):
    """Task logs in a Google Cloud Storage bucket, uploaded when a task ends. Pods reach it by their own identity."""

    kind: Literal["gcs"]
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")] | None = None
    """None: the bucket of this Airflow's own that is made where the settings name a Google project."""
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]*$")] = "task-logs"


class ElasticsearchTaskLogs(SettingsModel):
    """Task logs read from an Elasticsearch that a shipper fills from the tasks' standard output."""

    kind: Literal["elasticsearch"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")]
    """Scheme, host and port. No user name in it: that is a secret and belongs to ``secrets``."""
    index_patterns: str = "logs-airflow.task-*"


TaskLogs = Annotated[VolumeTaskLogs | GcsTaskLogs | ElasticsearchTaskLogs, Field(discriminator="kind")]


class Rotations(SettingsModel):
    """Raise a number by one and ``up``: that secret is made anew and everything that uses it restarts."""

    database_password: Annotated[int, Field(ge=0)] = 0
    admin_password: Annotated[int, Field(ge=0)] = 0
    api_secret_key: Annotated[int, Field(ge=0)] = 0
    jwt_secret: Annotated[int, Field(ge=0)] = 0
    """Tasks that are running when this changes lose their token and are retried."""


class ProvidedSecrets(SettingsModel):
    """Secrets of your own for one Airflow; what is left out is generated. Any character is allowed."""

    database_password: SecretStr | None = None
    admin_password: SecretStr | None = None
    fernet_key: SecretStr | None = None
    """One or more Fernet keys, separated by commas, the first encrypts: 32 url-safe base64-encoded bytes each."""
    api_secret_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    elasticsearch_user: SecretStr | None = None
    elasticsearch_password: SecretStr | None = None
    git_token: SecretStr | None = None
    """For the DAGs' repository over https. Reading is all that it must allow."""
    git_ssh_key: SecretStr | None = None
    """The private key for the DAGs' repository over ssh, a whole key file without a passphrase."""

    @field_validator("*")
    @classmethod
    def _hold_something(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value():
            raise ValueError("is empty: give a value, or leave the key out to have one generated")
        return value


class AirflowSettings(SettingsModel):
    """One isolated Airflow: its own namespace, database, role, secrets and service accounts."""

    name: DnsLabel
    """Names its namespace (``airflow-<name>``), database and resources. Never change it: that is a new database."""
    state: AirflowState = AirflowState.ACTIVE
    executor: Executor = Executor.KUBERNETES
    dags: Dags
    task_logs: TaskLogs
    admin_user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{1,64}$")] = "admin"
    admin_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")] = "admin@example.com"
    parallelism: Annotated[int, Field(ge=1, le=2048)] = 32
    """Most tasks that run at once in this Airflow."""
    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+(/[^\s]*[^/\s])?$")] | None = None
    """The address that people use, without a slash at the end. None: links are relative to the address used."""
    task_pool: DnsLabel | None = None
    """The pool of nodes that tasks run on, of those in ``cluster.taskPools``. None: the first one."""
    large_xcoms: bool = False
    """Whether results of tasks above 1 MiB go to this Airflow's bucket instead of its database."""
    logs_kept_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long this Airflow's bucket keeps task logs and large results."""
    rotations: Rotations = Rotations()
    database_connections: Annotated[int, Field(ge=1, le=1000)] = CONNECTIONS_PER_AIRFLOW
    """How many connections its database role may hold: its own, whoever else is there."""
    quota: Quota | None = None
    """None: no limit."""
    containers: ContainerLimits | None = None
    """None: nothing is limited, unless there is a quota; then its defaults hold."""
    network: AirflowNetworkSettings = AirflowNetworkSettings()
