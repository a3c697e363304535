"""Settings of what keeps an Airflow well: clean-up, mail, a secrets backend, a pod to look around in."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from infra.settings.base import SettingsModel
from infra.settings.contents import ContentSecrets, ContentSettings
from infra.settings.notifications import Notifications

Schedule = Annotated[str, StringConstraints(pattern=r"^(@(hourly|daily|weekly|monthly)|\S+( \S+){4})$")]
"""As cron writes it, in UTC."""
Address = Annotated[str, StringConstraints(pattern=r"^[^@\s,;]+@[^@\s,;]+$", max_length=254)]


class Housekeeping(SettingsModel):
    """What is removed, and when. Each Airflow has a minute of its own, so that not all of them do it at once."""

    keep_runs_days: Annotated[int, Field(ge=30, le=3650)] | None = 365
    """How long DAG runs, task instances, XComs, audit log and all else that grows stay in the database. A DAG's latest
    scheduled run always stays. None (``null``): all of it, for ever. Not below 30: what is older goes even where it is
    still running."""
    schedule: Schedule | None = None
    """When the database is cleaned, and old files of a log volume go. None: at night, once a day."""
    task_pods_schedule: Schedule | None = None
    """When pods of tasks go that have ended and that no scheduler has removed. None: once an hour."""
    reconcile_schedule: Schedule | None = None
    """When connections, variables and pools that were changed by hand are set right again. None: once an hour."""


class Smtp(SettingsModel):
    """The mail server: becomes the connection ``smtp_default``. Its password is ``secrets.<airflow>.smtpPassword``."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    """``tls``: from the first byte, usually on port 465. ``none``: in clear; for a relay in the same network."""
    user: Annotated[str, StringConstraints(min_length=1, max_length=254)] | None = None
    sender: Address
    """The address that mail comes from."""


class SecretManager(SettingsModel):
    """Connections and variables from Google's Secret Manager, looked up before the database.

    The secret's name is ``airflow_<stack>_<airflow>_connections-<id>``, or ``…_variables-<key>``.
    """

    kind: Literal["secret-manager"]


class OperationSettings(ContentSettings):
    """What an operator decides about an Airflow."""

    housekeeping: Housekeeping = Housekeeping()
    maintenance: bool = False
    """Whether there is a pod to look around in: Airflow's command line, the DAGs, the database."""
    smtp: Smtp | None = None
    notifications: Notifications | None = None
    """Who is told when a DAG run fails, without its DAG naming a callback. None: nobody."""
    secrets_backend: SecretManager | None = None


class OperationSecrets(ContentSecrets):
    """Secrets that only what is above needs."""

    smtp_password: SecretStr | None = None
    slack_webhook: SecretStr | None = None
    """An incoming webhook of Slack's, the whole address: who has it can write there."""
    notification_token: SecretStr | None = None
    """The bearer token for notifications of kind ``webhook``."""
