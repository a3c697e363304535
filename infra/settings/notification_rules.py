"""Rules between who is told of failed runs, the mail server, and the secrets that are given for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.airflow import AirflowSettings, ProvidedSecrets
from infra.settings.base import ENCRYPTED
from infra.settings.notifications import MailNotifications, SlackNotifications, WebhookNotifications

if TYPE_CHECKING:
    from infra.settings.environment import Settings

SLACK = ("https://hooks.slack.com/", "https://hooks.slack-gov.com/")
"""How every incoming webhook begins (https://api.slack.com/messaging/webhooks)."""


def notification_problems(settings: "Settings") -> list[str]:
    """Everything about notifications that does not fit together."""
    return [
        problem
        for airflow in settings.airflows
        for problem in _problems(airflow, settings.secrets.get(airflow.name, ProvidedSecrets()))
    ]


def _problems(airflow: AirflowSettings, secrets: ProvidedSecrets) -> Iterator[str]:
    where, mine = f"airflows.{airflow.name}.notifications", f"secrets.{airflow.name}"
    asked = airflow.notifications
    if secrets.slack_webhook is not None and not isinstance(asked, SlackNotifications):
        yield f"{mine}.slackWebhook: nothing reads it. Set {where} to {{kind: slack}}, or remove it"
    if secrets.notification_token is not None and not isinstance(asked, WebhookNotifications):
        yield f"{mine}.notificationToken: nothing reads it. Set {where} to kind 'webhook', or remove it"
    match asked:
        case MailNotifications() if airflow.smtp is None:
            yield (
                f"{where}: kind 'smtp' needs a mail server. Say which in airflows.{airflow.name}.smtp "
                "(docs/operations.md), or choose another kind"
            )
        case SlackNotifications():
            url = secrets.slack_webhook.get_secret_value() if secrets.slack_webhook else None
            if url is None:
                yield (
                    f"{mine}.slackWebhook: is missing, and {where} sends to it. Set it with: pulumi config set "
                    f"--secret --path 'airflow-platform:{mine}.slackWebhook'"
                )
            elif url != ENCRYPTED and not url.startswith(SLACK):
                yield f"{mine}.slackWebhook: is no webhook of Slack's: one begins with {SLACK[0]}. Set it anew"
        case WebhookNotifications(url=url) if url.startswith("http://") and secrets.notification_token is not None:
            yield f"{where}.url: http would send the token in clear. Write it as https, or remove the token"
        case _:
            pass
