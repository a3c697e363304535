"""What keeps an Airflow well, and what it has in its database from the start."""

import json
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

SECRET_MANAGER = "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend"  # noqa: S105 (a name)


@dataclass(frozen=True)
class Housekeeping:
    """What is removed, and when. Schedules are cron's, in UTC; None: once a night, and the last two once an hour.

    ``keep_runs_days`` None keeps every run. ``keep_logs_days`` is for a log volume: a bucket removes by itself.
    """

    keep_runs_days: int | None = 365
    keep_logs_days: int = 90
    schedule: str | None = None
    task_pods_schedule: str | None = None
    reconcile_schedule: str | None = None


@dataclass(frozen=True)
class SecretManagerBackend:
    """Secrets of ``project`` whose names begin with one of the prefixes and a dash, looked up before the database."""

    project: str
    connections_prefix: str
    variables_prefix: str


@dataclass(frozen=True)
class Notifications:
    """Where messages go: ``document`` is what files/notifications.py reads, a secret JSON object; ``host`` and ``port``
    are the server that it sends to."""

    document: pulumi.Output[str]
    host: str
    port: int


@dataclass(frozen=True)
class OperationArgs:
    """What an operator decides about an Airflow. ``mail_sender`` is the address that its mail comes from.

    ``contents`` are connections, variables and pools that it is kept with: a secret JSON object of the form that
    files/reconcile.py describes.
    """

    contents: pulumi.Output[str] = field(default_factory=lambda: pulumi.Output.secret("{}"))
    housekeeping: Housekeeping = field(default_factory=Housekeeping)
    maintenance: bool = False
    mail_sender: str | None = None
    secrets_backend: SecretManagerBackend | None = None
    notifications: Notifications | None = None
    """None: nobody is told of failed runs."""


def operation_sections(args: OperationArgs) -> dict[str, dict[str, str]]:
    """For airflow.cfg, by section."""
    return {"email": {"from_email": args.mail_sender}} if args.mail_sender else {}


def operation_env(args: OperationArgs) -> list[EnvVarArgsDict]:
    """For components; task pods do not get it.

    A task that found a secrets backend in its airflow.cfg would ask Secret Manager itself, under the tasks' identity
    (``[workers] secrets_backend`` falls back to it). So it asks the api-server, which looks there for it, and needs no
    right to read secrets.
    """
    if args.secrets_backend is None:
        return []
    kwargs = {
        "project_id": args.secrets_backend.project,
        "connections_prefix": args.secrets_backend.connections_prefix,
        "variables_prefix": args.secrets_backend.variables_prefix,
        "config_prefix": None,
    }
    return [
        {"name": "AIRFLOW__SECRETS__BACKEND", "value": SECRET_MANAGER},
        {"name": "AIRFLOW__SECRETS__BACKEND_KWARGS", "value": json.dumps(kwargs)},
    ]
