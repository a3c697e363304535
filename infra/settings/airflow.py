"""Settings of one Airflow: who it is, how it runs tasks, where its DAGs come from, where its task logs go."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator

from infra.settings.base import MOUNTABLE_NAME, DnsLabel, Quantity, SettingsModel
from infra.settings.celery import CelerySettings
from infra.settings.customisation import Extra
from infra.settings.dags import Dags
from infra.settings.executors import Executor, Executors
from infra.settings.network_policy import AirflowNetworkSettings
from infra.settings.operations import OperationSecrets, OperationSettings
from infra.settings.quota import ContainerLimits, Quota
from infra.settings.sign_in import ApiClient, PasswordSignIn, SignIn
from infra.settings.sizes import PoolerSettings, Replicas, Resources, Size
from infra.settings.tasks import Backfill, TaskShape

BaseUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/:]+(:[0-9]{1,5})?(/[^\s]*[^/\s])?$")]
"""Scheme, host, a port, a path; no slash at the end."""


class AirflowState(StrEnum):
    """Whether an Airflow runs. It leaves in two steps: retired, then removed from the stack file."""

    ACTIVE = "active"
    RETIRED = "retired"
    """Nothing of it runs, its database is exported to its bucket where it has one, its protection is lifted."""


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
    """Task logs read from an Elasticsearch that a shipper fills from the tasks' standard output, a line at a time."""

    kind: Literal["elasticsearch"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")] | None = None
    """Scheme, host and port. No user name in it: that is a secret and belongs to ``secrets``. None: the environment's
    own (``logs`` of kind ``own``), of which this Airflow reads its own stream."""
    index_patterns: str | None = None
    """None: ``logs-airflow.task-*``."""
    version: Literal[8, 9] = 9
    """The major version of the server."""
    kibana_url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s]+$")] | None = None
    """Where people find Kibana, for the UI's link to a task's lines."""


TaskLogs = Annotated[VolumeTaskLogs | GcsTaskLogs | ElasticsearchTaskLogs, Field(discriminator="kind")]


class Rotations(SettingsModel):
    """Raise a number by one and ``up``: that secret is made anew and everything that uses it restarts."""

    database_password: Annotated[int, Field(ge=0)] = 0
    admin_password: Annotated[int, Field(ge=0)] = 0
    api_secret_key: Annotated[int, Field(ge=0)] = 0
    jwt_secret: Annotated[int, Field(ge=0)] = 0
    """Tasks that are running when this changes lose their token and are retried."""
    fernet_key: Annotated[int, Field(ge=0, le=100)] = 0
    """How many further Fernet keys there are. A new one can be read with at once; it encrypts as soon as
    ``fernet_key_in_use`` says so, one `up` later. All earlier ones stay."""
    fernet_key_in_use: Annotated[int, Field(ge=0, le=100)] = 0
    """The number of the key that encrypts. A changed one also re-encrypts what is there."""
    broker_password: Annotated[int, Field(ge=0)] = 0
    """Of the Redis and the RabbitMQ that are made here."""
    flower_password: Annotated[int, Field(ge=0)] = 0


class ProvidedSecrets(OperationSecrets):
    """Secrets of your own for one Airflow; what is left out is generated. Any character is allowed."""

    database_password: SecretStr | None = None
    admin_password: SecretStr | None = None
    fernet_key: SecretStr | None = None
    """One or more Fernet keys, separated by commas, the first encrypts: 32 url-safe base64-encoded bytes each."""
    api_secret_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    oidc_client_secret: SecretStr | None = None
    """Of the client that the identity provider knows this Airflow as."""
    elasticsearch_user: SecretStr | None = None
    elasticsearch_password: SecretStr | None = None
    git_token: SecretStr | None = None
    """For the DAGs' repository over https. Reading is all that it must allow."""
    git_ssh_key: SecretStr | None = None
    """The private key for the DAGs' repository over ssh, a whole key file without a passphrase."""
    github_app_key: SecretStr | None = None
    """The private key of the GitHub App that may read the DAGs' repository, a whole PEM file."""
    env: dict[str, SecretStr] | None = None
    """Values of environment variables that ``extra`` gives to components or tasks, by the variable's name."""
    celery_broker_url: SecretStr | None = None
    """Of a broker of kind ``external``."""

    @field_validator("*")
    @classmethod
    def _hold_something(cls, value: object) -> object:
        if isinstance(value, SecretStr) and not value.get_secret_value():
            raise ValueError("is empty: give a value, or leave the key out to have one generated")
        return value


class AirflowSettings(OperationSettings):
    """One isolated Airflow: its own namespace, database, role, secrets and service accounts."""

    name: DnsLabel
    """Names its namespace (``airflow-<name>``), database and resources. Never change it: that is a new database."""
    state: AirflowState = AirflowState.ACTIVE
    executor: Executors = (Executor.KUBERNETES,)
    """One, or several, the default first."""
    celery: CelerySettings | None = None
    """With the CeleryExecutor. None: all defaults."""
    kubernetes_pod_operator: bool = False
    """Whether tasks may launch pods, in a namespace of their own (``launched-<name>``)."""
    dags: Dags
    task_logs: TaskLogs
    admin_user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{1,64}$")] = "admin"
    admin_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")] = "admin@example.com"
    sign_in: SignIn = PasswordSignIn(kind="password")
    api_clients: tuple[ApiClient, ...] = ()
    """Programs that use the REST API, each with a user of its own."""
    size: Size = Size.SMALL
    parallelism: Annotated[int, Field(ge=1, le=2048)] | None = None
    """Most tasks that run at once in this Airflow. None: the size's."""
    replicas: Replicas = Replicas()
    resources: Resources = Resources()
    pooler: PoolerSettings = PoolerSettings()
    base_url: BaseUrl | None = None
    """The address that people use, without a slash at the end. None: links are relative to the address used."""
    task_pool: DnsLabel | None = None
    """The pool of nodes that tasks run on, of those in ``cluster.taskPools``. None: the first one."""
    large_xcoms: bool = False
    """Whether results of tasks above 1 MiB go to this Airflow's bucket instead of its database."""
    logs_kept_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long this Airflow's bucket keeps task logs and large results."""
    rotations: Rotations = Rotations()
    database_connections: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many connections its database role may hold: its own, whoever else is there. None: what its size needs."""
    quota: Quota | None = None
    """None: no limit."""
    containers: ContainerLimits | None = None
    """None: nothing is limited, unless there is a quota; then its defaults hold."""
    network: AirflowNetworkSettings = AirflowNetworkSettings()
    task_shapes: dict[DnsLabel, TaskShape] = Field(default_factory=dict)
    """Kinds of pods that tasks can ask for by name."""
    backfill: Backfill | None = None
    """None: tasks of backfills run among all others."""
    extra: Extra = Extra()
