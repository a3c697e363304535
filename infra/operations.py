"""From the settings of what an operator decides to what the components take."""

import json
from typing import Any

import pulumi

from components.airflow.operation_args import Housekeeping, OperationArgs, SecretManagerBackend
from components.gcp.airflow_secrets import secrets_prefix
from infra.notifications import notifications
from infra.settings import AirflowSettings, ProvidedSecrets, Settings
from infra.settings.contents import ConnectionSecrets
from infra.settings.operation_rules import SMTP_CONNECTION
from infra.settings.operations import Smtp

SMTP_SECURITY: dict[str, dict[str, bool]] = {
    "starttls": {"disable_ssl": True, "disable_tls": False},
    "tls": {"disable_ssl": False, "disable_tls": True},
    "none": {"disable_ssl": True, "disable_tls": True},
}
"""How Airflow's SMTP provider names them (airflow/providers/smtp/hooks/smtp.py)."""


def operation_args(airflow: AirflowSettings, settings: Settings, environment: str) -> OperationArgs:
    """What the operator of ``airflow`` decided."""
    secrets = settings.secrets.get(airflow.name, ProvidedSecrets())
    house = airflow.housekeeping
    backend = None
    if airflow.secrets_backend is not None:
        assert settings.google is not None  # the settings see to it
        backend = SecretManagerBackend(
            settings.google.project,
            f"{secrets_prefix(environment, airflow.name)}connections",
            f"{secrets_prefix(environment, airflow.name)}variables",
        )
    return OperationArgs(
        contents=pulumi.Output.secret(json.dumps(contents(airflow, secrets), sort_keys=True)),
        housekeeping=Housekeeping(
            keep_runs_days=house.keep_runs_days,
            keep_logs_days=airflow.logs_kept_days,
            schedule=house.schedule,
            task_pods_schedule=house.task_pods_schedule,
            reconcile_schedule=house.reconcile_schedule,
        ),
        maintenance=airflow.maintenance,
        mail_sender=airflow.smtp.sender if airflow.smtp else None,
        secrets_backend=backend,
        notifications=notifications(airflow, secrets, environment),
    )


def contents(airflow: AirflowSettings, secrets: ProvidedSecrets) -> dict[str, Any]:
    """What components/airflow/files/reconcile.py reads, secrets included."""
    connections: dict[str, Any] = {}
    for name, public in airflow.connections.items():
        secret = secrets.connections.get(name, ConnectionSecrets())
        connections[name] = {
            **public.model_dump(by_alias=True, exclude_none=True),
            **{
                key: value.get_secret_value()
                for key, value in (("login", secret.login), ("password", secret.password))
                if value is not None
            },
            "extra": {**public.extra, **{key: value.get_secret_value() for key, value in secret.extra.items()}},
        }
    if airflow.smtp:
        connections[SMTP_CONNECTION] = _mail_server(airflow.smtp, secrets)
    return {
        "connections": connections,
        "variables": {
            **airflow.variables,
            **{key: value.get_secret_value() for key, value in secrets.variables.items()},
        },
        "pools": {name: pool.model_dump(by_alias=True) for name, pool in airflow.pools.items()},
        "takeOver": airflow.take_over,
    }


def _mail_server(smtp: Smtp, secrets: ProvidedSecrets) -> dict[str, Any]:
    login: dict[str, Any] = {}
    if smtp.user is not None and secrets.smtp_password is not None:
        login = {"login": smtp.user, "password": secrets.smtp_password.get_secret_value()}
    return {
        "type": "smtp",
        "host": smtp.host,
        "port": smtp.port,
        **login,
        "extra": {"from_email": smtp.sender, **SMTP_SECURITY[smtp.security]},
    }
