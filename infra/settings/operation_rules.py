"""Rules between what an operator decides about an Airflow and the secrets that are given for it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.airflow import AirflowSettings, ProvidedSecrets

if TYPE_CHECKING:
    from infra.settings.environment import Settings

SMTP_CONNECTION = "smtp_default"
"""``[email] email_conn_id``, as Airflow has it."""
_FORMS = {
    "connections": (re.compile(r"[\w#!()\-.:/\\]{1,250}"), "letters, digits and # ! ( ) - . : / \\ _"),
    "variables": (re.compile(r"\S(.{0,248}\S)?"), "any characters but no space at either end"),
    "pools": (re.compile(r"[A-Za-z0-9_.-]{1,250}"), "letters, digits, dots, dashes and underscores"),
}
"""What Airflow takes for an id, a key, a name (airflow/models/{connection,variable,pool}.py), and 250 characters."""


def operation_problems(settings: "Settings") -> list[str]:
    """Everything about connections, variables, pools, mail, keys and clean-up that does not fit together."""
    problems: list[str] = []
    for airflow in settings.airflows:
        secrets = settings.secrets.get(airflow.name, ProvidedSecrets())
        problems += [
            *_name_problems(airflow, secrets),
            *_connection_problems(airflow, secrets),
            *_smtp_problems(airflow, secrets),
            *_fernet_problems(airflow, secrets),
        ]
        problems += [
            f"secrets.{airflow.name}.variables.{key}: stands under airflows.{airflow.name}.variables, too. Remove one"
            for key in sorted(secrets.variables.keys() & airflow.variables.keys())
        ]
        if airflow.secrets_backend is not None and settings.google is None:
            problems.append(
                f"airflows.{airflow.name}.secretsBackend: Secret Manager is Google Cloud's. Add 'google', or put the "
                f"secrets under secrets.{airflow.name}"
            )
    return problems


def _name_problems(airflow: AirflowSettings, secrets: ProvidedSecrets) -> Iterator[str]:
    names = {
        "connections": airflow.connections.keys(),
        "variables": airflow.variables.keys() | secrets.variables.keys(),
        "pools": airflow.pools.keys(),
    }
    for kind, (form, said) in _FORMS.items():
        for name in sorted(names[kind]):
            if not form.fullmatch(name):
                yield (
                    f'airflows.{airflow.name}.{kind}: "{name}" is no name that Airflow takes: 1 to 250 of {said}. '
                    "Rename it"
                )


def _connection_problems(airflow: AirflowSettings, secrets: ProvidedSecrets) -> Iterator[str]:
    for name, secret in sorted(secrets.connections.items()):
        where = f"secrets.{airflow.name}.connections.{name}"
        public = airflow.connections.get(name)
        if public is None:
            yield (
                f"{where}: there is no connection of that id. Add it, with its type, to airflows.{airflow.name}."
                "connections, or remove it here"
            )
            continue
        if secret.login is not None and public.login is not None:
            yield f"{where}.login: stands in airflows.{airflow.name}.connections.{name}, too. Remove one"
        for key in sorted(secret.extra.keys() & public.extra.keys()):
            yield f"{where}.extra.{key}: stands in airflows.{airflow.name}.connections.{name}, too. Remove one"


def _smtp_problems(airflow: AirflowSettings, secrets: ProvidedSecrets) -> Iterator[str]:
    where = f"airflows.{airflow.name}.smtp"
    password = f"secrets.{airflow.name}.smtpPassword"
    if airflow.smtp is None:
        if secrets.smtp_password is not None:
            yield f"{password}: nothing reads it. Say which server it is for in {where}, or remove it"
        return
    if SMTP_CONNECTION in airflow.connections:
        yield (f"airflows.{airflow.name}.connections.{SMTP_CONNECTION}: is what {where} makes. Remove one of the two")
    if airflow.smtp.user is not None and secrets.smtp_password is None:
        yield (
            f"{password}: is missing, and {where} has a user. Set it with: pulumi config set --secret --path "
            f"'airflow-platform:{password}'"
        )
    if airflow.smtp.user is None and secrets.smtp_password is not None:
        yield f"{where}.user: is missing, and there is a password. Add it, or remove {password}"
    if airflow.smtp.user is not None and airflow.smtp.security == "none":
        yield (
            f"{where}.security: 'none' would send the password in clear. Choose 'starttls' or 'tls', or leave user and "
            "password out"
        )


def _fernet_problems(airflow: AirflowSettings, secrets: ProvidedSecrets) -> Iterator[str]:
    where = f"airflows.{airflow.name}.rotations"
    made, used = airflow.rotations.fernet_key, airflow.rotations.fernet_key_in_use
    if secrets.fernet_key is not None:
        if made or used:
            yield (
                f"{where}.fernetKey: the keys are given in secrets.{airflow.name}, so they are not ours to make anew. "
                f"Leave fernetKey and fernetKeyInUse out, and change the list there (docs/operations.md)"
            )
    elif used not in (made, made - 1):
        yield (
            f"{where}.fernetKeyInUse: {used} does not go with fernetKey {made}: it is the same number, or one less "
            f"until everything knows the new key. Set it to {max(made - 1, 0)}, `up`, then to {made}"
        )
