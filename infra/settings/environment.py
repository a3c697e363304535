"""Settings of a whole environment, and the rules that hold between its parts."""

import base64
from collections import Counter
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from infra.settings.airflow import AirflowSettings, ProvidedSecrets, VolumeTaskLogs
from infra.settings.base import ENCRYPTED, DnsLabel, SettingsModel
from infra.settings.celery_rules import celery_problems
from infra.settings.cloud_rules import cloud_problems
from infra.settings.cluster import ClusterSettings
from infra.settings.customisation_rules import customisation_problems
from infra.settings.dag_rules import dag_problems
from infra.settings.database import DatabaseSettings
from infra.settings.dev_stack_rules import dev_stack_problems
from infra.settings.dev_stacks import DevStack, DevStacks, StackDatabase
from infra.settings.gate import Gate
from infra.settings.gate_rules import gate_problems
from infra.settings.google import Google, NetworkSettings
from infra.settings.ingress import Ingress
from infra.settings.ingress_rules import ingress_problems
from infra.settings.logs import LogsSettings
from infra.settings.logs_rules import log_problems
from infra.settings.metric_rules import metric_problems
from infra.settings.metrics import MetricsSettings
from infra.settings.network_policy import NetworkPolicies
from infra.settings.network_rules import network_policy_problems
from infra.settings.notification_rules import notification_problems
from infra.settings.operation_rules import operation_problems
from infra.settings.planning import RESERVED_CONNECTIONS, connection_problems, default_connections
from infra.settings.previews import PreviewSettings
from infra.settings.quota_rules import quota_problems
from infra.settings.sign_in_rules import sign_in_problems
from infra.settings.sizes import connection_budgets, connections_needed, size_problems
from infra.settings.task_rules import task_problems

FERNET_KEY_BYTES = 32


class Images(SettingsModel):
    """Where images come from, other than the DAG image, which each Airflow names itself."""

    registry: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/:-]*[a-z0-9]$")] | None = None
    """A mirror's prefix that replaces the public registry's host in every image's name."""
    overrides: dict[str, str] = Field(default_factory=dict)
    """Whole references by name, e.g. ``postgres: registry.example.com/postgres@sha256:…``."""


class Settings(SettingsModel):
    """Everything that a stack file says."""

    google: Google | None = None
    """Needed by everything that is on Google Cloud."""
    network: NetworkSettings | None = None
    """Of a cluster that is made here. None: a VPC of its own, with the ranges of ``OwnNetwork``."""
    cluster: ClusterSettings
    database: DatabaseSettings
    ingress: Ingress | None = None
    ingress_key: SecretStr | None = None
    """The private key of a certificate of kind ``given``, PEM, without a passphrase."""
    logs: LogsSettings | None = None
    logs_password: SecretStr | None = None
    """Of the user that ships logs to an Elasticsearch that is given."""
    airflows: Annotated[tuple[AirflowSettings, ...], Field(min_length=1)]
    metrics: MetricsSettings | None = None
    """What watches the environment. None: nothing."""
    gate: Gate | None = None
    """Before what has no sign-in of its own. None: people don't come there by the way in."""
    gate_secret: SecretStr | None = None
    """Of the client that the gate's provider knows this environment as."""
    network_policies: NetworkPolicies = NetworkPolicies()
    dev_stacks: DevStacks | None = None
    """None: no dev stack may stand on this one."""
    dev_stack: DevStack | None = None
    """Set in a dev stack only."""
    images: Images = Images()
    previews: PreviewSettings = PreviewSettings()
    ephemeral: bool = False
    """True lifts the protection of databases, volumes, keys and namespaces: for environments to throw away."""
    secrets: dict[str, ProvidedSecrets] = Field(default_factory=dict)
    alert_secrets: dict[DnsLabel, SecretStr] = Field(default_factory=dict)
    """What the routes of alerts need, by the route's name."""
    database_administrator_password: SecretStr | None = None
    """Of an existing Cloud SQL instance's administrator."""

    @property
    def max_connections(self) -> int:
        """How many connections the Airflows share."""
        if isinstance(self.database, StackDatabase):
            # The base's own are not to be had here; `make dev` counts, and asks for what the size needs.
            return sum(connection_budgets(self).values()) + RESERVED_CONNECTIONS
        asked = self.database.max_connections
        if asked is None:  # only Cloud SQL leaves it open
            return default_connections(self.database.tier) if self.database.kind == "cloud-sql" else 0
        return asked

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        found = [*self._name_clashes(), *self._log_store_problems(), *self._secret_problems(), *self._image_problems()]
        found += [
            *connection_problems(self.max_connections, connection_budgets(self), connections_needed(self)),
            *size_problems(self),
            *cloud_problems(self),
            *dag_problems(self),
            *network_policy_problems(self),
            *quota_problems(self),
            *operation_problems(self),
            *customisation_problems(self),
            *task_problems(self),
            *celery_problems(self),
            *metric_problems(self),
            *notification_problems(self),
            *ingress_problems(self),
            *log_problems(self),
            *dev_stack_problems(self),
            *sign_in_problems(self),
            *gate_problems(self),
        ]
        if found:
            raise ValueError("\n".join(found))
        return self

    def _name_clashes(self) -> list[str]:
        counts = Counter(airflow.name for airflow in self.airflows)
        return [
            f"airflows: the name '{name}' is used {count} times. Each needs a name of its own: rename all but one"
            for name, count in counts.items()
            if count > 1
        ]

    def _log_store_problems(self) -> list[str]:
        problems = []
        for airflow in self.airflows:
            logs = airflow.task_logs
            if isinstance(logs, VolumeTaskLogs) and logs.access_mode == "ReadWriteMany" and not logs.storage_class:
                problems.append(
                    f"airflows.{airflow.name}.taskLogs: accessMode ReadWriteMany needs a storageClass that many nodes "
                    "can write; default classes cannot. Name one, or leave accessMode out"
                )
        return problems

    def _secret_problems(self) -> list[str]:
        names = {airflow.name for airflow in self.airflows}
        problems = [
            f"secrets.{name}: there is no Airflow of that name. Known are: {', '.join(sorted(names))}"
            for name in sorted(self.secrets.keys() - names)
        ]
        for airflow in self.airflows:
            secrets = self.secrets.get(airflow.name, ProvidedSecrets())
            for name, rotation in (
                ("databasePassword", airflow.rotations.database_password),
                ("adminPassword", airflow.rotations.admin_password),
                ("apiSecretKey", airflow.rotations.api_secret_key),
                ("jwtSecret", airflow.rotations.jwt_secret),
            ):
                given = secrets.model_dump(by_alias=True).get(name)
                if rotation and given is not None:
                    problems.append(
                        f"airflows.{airflow.name}.rotations.{name}: the value is given in secrets.{airflow.name}, so "
                        "it is not ours to make anew. Change it there, or leave it out there"
                    )
            if secrets.fernet_key and not _are_fernet_keys(secrets.fernet_key.get_secret_value()):
                problems.append(
                    f"secrets.{airflow.name}.fernetKey: not a Fernet key (32 bytes, url-safe base64; several are "
                    "separated by commas). Make one with: python -c 'import base64, os; "
                    "print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
                )
        return problems

    def _image_problems(self) -> list[str]:
        from components.versions import IMAGES  # noqa: PLC0415 (keeps settings importable without the SDKs)

        return [
            f"images.overrides.{name}: no such image. Known are: {', '.join(sorted(IMAGES))}"
            for name in sorted(self.images.overrides.keys() - IMAGES.keys())
        ]


def _are_fernet_keys(text: str) -> bool:
    if text == ENCRYPTED:
        return True
    try:
        return all(len(base64.urlsafe_b64decode(key.encode())) == FERNET_KEY_BYTES for key in text.split(","))
    except ValueError:
        return False
