"""Settings of who is told when a DAG run fails."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import SettingsModel

Address = Annotated[str, StringConstraints(pattern=r"^[^@\s,;]+@[^@\s,;]+$", max_length=254)]


class MailNotifications(SettingsModel):
    """A mail, by the server of the Airflow's ``smtp``."""

    kind: Literal["smtp"]
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=50)]


class SlackNotifications(SettingsModel):
    """A message in Slack, by an incoming webhook: ``secrets.<airflow>.slackWebhook``."""

    kind: Literal["slack"]


class WebhookNotifications(SettingsModel):
    """A JSON document, posted to a server; with ``secrets.<airflow>.notificationToken`` as its bearer token, if any."""

    kind: Literal["webhook"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s?#]+$", max_length=2000)]
    """Without user, password or query: these are secrets."""


Notifications = Annotated[
    MailNotifications | SlackNotifications | WebhookNotifications,
    Field(discriminator="kind"),
]
