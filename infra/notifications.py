"""From the settings of who is told of failed runs to what the component takes."""

import json
from typing import Any

import pulumi

from components.airflow.operation_args import Notifications
from components.network import server
from infra.settings import AirflowSettings, ProvidedSecrets
from infra.settings.notifications import MailNotifications, SlackNotifications


def notifications(airflow: AirflowSettings, secrets: ProvidedSecrets, environment: str) -> Notifications | None:
    """Where messages about failed runs of ``airflow`` go, secrets included; None: nowhere."""
    asked = airflow.notifications
    if asked is None:
        return None
    document: dict[str, Any] = {"kind": asked.kind, "environment": environment, "airflow": airflow.name}
    match asked:
        case MailNotifications():
            smtp = airflow.smtp
            assert smtp is not None  # the settings see to it
            password = secrets.smtp_password.get_secret_value() if secrets.smtp_password else None
            document |= {
                **smtp.model_dump(include={"host", "port", "security", "user", "sender"}),
                "password": password,
                "to": list(asked.to),
            }
            host, port = smtp.host, smtp.port
        case SlackNotifications():
            assert secrets.slack_webhook is not None  # the settings see to it
            document["url"] = secrets.slack_webhook.get_secret_value()
            host, port = "hooks.slack.com", 443
        case _:
            token = secrets.notification_token
            document |= {"url": asked.url, "token": token.get_secret_value() if token else None}
            host, port = server(asked.url)
    return Notifications(pulumi.Output.secret(json.dumps(document, sort_keys=True)), host, port)
