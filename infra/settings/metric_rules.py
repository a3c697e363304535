"""Rules between what watches an environment, its Airflows, and the secrets that are given for it."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.base import ENCRYPTED
from infra.settings.cluster import GkeCluster
from infra.settings.metrics import AlertRoute, GoogleManagedMetrics, MailRoute, PagerdutyRoute, SlackRoute, WebhookRoute
from infra.settings.notification_rules import SLACK

if TYPE_CHECKING:
    from infra.settings.environment import Settings

RESERVED = "nobody"
"""Alertmanager's receiver of what no route asks for."""


def metric_problems(settings: "Settings") -> list[str]:
    """Everything about metrics and alerts that does not fit together."""
    return list(_problems(settings))


def _managed_problems(settings: "Settings") -> Iterator[str]:
    if isinstance(settings.cluster, GkeCluster) and not settings.cluster.managed_prometheus:
        yield (
            "metrics.kind: 'google-managed' needs Google's collectors on the cluster. Set cluster.managedPrometheus to "
            "true, or the kind to 'prometheus'"
        )


def _problems(settings: "Settings") -> Iterator[str]:
    routes = settings.metrics.routes if settings.metrics else ()
    known = {airflow.name for airflow in settings.airflows}
    if isinstance(settings.metrics, GoogleManagedMetrics):
        yield from _managed_problems(settings)
    for name, count in Counter(route.name for route in routes).items():
        if count > 1:
            yield f"metrics.routes.{name}: the name is used {count} times. Rename all but one"
    for name in sorted(settings.alert_secrets.keys() - {route.name for route in routes}):
        yield f"alertSecrets.{name}: there is no route of that name in metrics.routes. Remove it, or add the route"
    for route in routes:
        yield from _route_problems(route, settings, known)


def _route_problems(route: AlertRoute, settings: "Settings", known: set[str]) -> Iterator[str]:
    where, mine = f"metrics.routes.{route.name}", f"alertSecrets.{route.name}"
    if route.name == RESERVED:
        yield f"{where}: the name is the platform's own. Choose another one"
    for airflow in sorted(set(route.airflows) - known):
        yield f"{where}.airflows: there is no Airflow '{airflow}'. Known are: {', '.join(sorted(known))}"
    given = settings.alert_secrets.get(route.name)
    text = given.get_secret_value() if given else None
    match route.to:
        case SlackRoute() | PagerdutyRoute() if text is None:
            yield (
                f"{mine}: is missing, and {where} needs it. Set it with: pulumi config set --secret --path "
                f"'airflow-platform:{mine}'"
            )
        case SlackRoute() if text != ENCRYPTED and not str(text).startswith(SLACK):
            yield f"{mine}: is no webhook of Slack's: one begins with {SLACK[0]}. Set it anew"
        case WebhookRoute(url=url) if text is not None and url.startswith("http://"):
            yield f"{where}.to.url: http would send the token in clear. Write it as https, or remove the token"
        case MailRoute(smtp=smtp) if text is not None and smtp.user is None:
            yield f"{where}.to.smtp.user: is missing, and {mine} is its password. Name it, or remove the password"
        case MailRoute(smtp=smtp) if text is None and smtp.user is not None:
            yield (
                f"{mine}: is missing, and {where} signs in as '{smtp.user}'. Set it with: pulumi config set "
                f"--secret --path 'airflow-platform:{mine}'"
            )
        case _:
            pass
