"""From settings to what watches an environment."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.airflow import Airflow, DatabaseServer
from components.airflow.args import Statsd
from components.database_administration import NAMESPACE as DATABASE
from components.ingress import Backend, IngressController, Routes
from components.ingress.configuration import NAMESPACE as INGRESS
from components.logs.shipper import NAMESPACE as LOGS
from components.logs.store_args import NAMESPACE as LOG_STORE
from components.metrics import NAMESPACE, ManagedMetrics, Metrics, MetricsArgs, Receiver, Retention, WatchArgs
from components.metrics.alertmanager import SECRETS
from components.metrics.args import GRAFANA_PORT
from components.network import GOOGLES_COLLECTORS, from_pods, server
from components.versions import ImageSource
from infra.dashboards import show_in_console
from infra.gate import lead_by_gate
from infra.ingress import lead_beside
from infra.network import IN_CLUSTER_DATABASE
from infra.settings import AirflowState, InClusterDatabase, Settings
from infra.settings.ingress_addresses import beside
from infra.settings.metrics import (
    AlertRoute,
    GoogleManagedMetrics,
    MailRoute,
    MetricsSettings,
    PagerdutyRoute,
    PrometheusMetrics,
    SlackRoute,
    WebhookRoute,
)
from infra.settings.sizes import connection_budgets
from infra.surroundings import Surroundings

PAGERDUTY = "events.pagerduty.com"
GRAFANA = "grafana"
SLACK = "hooks.slack.com"


def statsd_of(settings: Settings, images: ImageSource) -> Statsd | None:
    """Where an Airflow sends its metrics; None where nobody asks for them."""
    if settings.metrics is None:
        return None
    own = from_pods({"app.kubernetes.io/component": "prometheus"}, NAMESPACE)
    google = isinstance(settings.metrics, GoogleManagedMetrics)
    return Statsd(images.reference("statsd-exporter"), GOOGLES_COLLECTORS if google else own)


def metric_images(settings: Settings) -> frozenset[str]:
    """The names of the images that metrics take."""
    asked = settings.metrics
    if asked is None:
        return frozenset()
    found = {"statsd-exporter"}
    if asked.kube_state:
        found.add("kube-state-metrics")
    if isinstance(asked, PrometheusMetrics):
        found |= {"prometheus", "alertmanager", *(["grafana"] if asked.grafana else [])}
    return frozenset(found)


def watch(
    settings: Settings,
    environment: str,
    airflows: Mapping[str, Airflow],
    around: Surroundings,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Makes what watches the environment, where it is asked for."""
    asked = settings.metrics
    if asked is None:
        return
    common: dict[str, Any] = {
        "namespaces": _namespaces(settings, asked, airflows, around),
        "state_image": images.reference("kube-state-metrics") if asked.kube_state else None,
        "interval_seconds": asked.interval_seconds,
        "series_limit": asked.series_limit,
        "receivers": receivers_of(settings, asked),
        "certificate": _certificate(around.routes),
        "connections": {name: most for name, most in connection_budgets(settings).items() if name in _active(settings)},
        "network": around.network,
        "nodes": around.nodes,
        "priority": around.priority,
        "protect": not settings.ephemeral,
    }
    if isinstance(asked, GoogleManagedMetrics):
        ManagedMetrics(NAMESPACE, WatchArgs(**common), opts)
        if around.google and asked.dashboards:
            show_in_console(settings, environment, around.google)
        return
    address = beside(GRAFANA, settings) if asked.grafana else None
    metrics = Metrics(
        NAMESPACE,
        MetricsArgs(
            **common,
            prometheus_image=images.reference("prometheus"),
            alertmanager_image=images.reference("alertmanager"),
            checksum_key=checksum_key,
            environment=environment,
            grafana_image=images.reference("grafana") if asked.grafana else None,
            grafana_url=address.url if address else None,
            retention=Retention(asked.retention_days, asked.retention_gib, asked.storage_class),
        ),
        opts,
    )
    if metrics.grafana:
        backend = Backend(metrics.namespace, GRAFANA, GRAFANA_PORT, [metrics.grafana])
        lead_beside(around.routes, settings, GRAFANA, backend, websockets=True)
    lead_by_gate(settings, metrics, around, images, checksum_key, opts)


def _certificate(routes: Routes | None) -> pulumi.Output[int] | None:
    """When the way in's certificate ends; None where it is another stack's, or nobody knows."""
    own = routes.controller if routes else None
    return own.expires if isinstance(own, IngressController) else None


def _namespaces(
    settings: Settings, asked: MetricsSettings, airflows: Mapping[str, Airflow], around: Surroundings
) -> dict[str, pulumi.Input[str]]:
    """Where there is something to measure."""
    found: dict[str, pulumi.Input[str]] = {f"airflow-{name}": airflows[name].namespace for name in _active(settings)}
    found |= {name: name for name in asked.namespaces}
    if around.routes:
        found[INGRESS] = around.routes.controller.namespace
    if around.logs.shipper:
        found[LOGS] = around.logs.shipper.namespace
    if around.logs.store:
        found[LOG_STORE] = around.logs.store.namespace
    if isinstance(around.database, DatabaseServer):
        in_cluster = isinstance(settings.database, InClusterDatabase)
        found[IN_CLUSTER_DATABASE if in_cluster else DATABASE] = around.database.namespace
    return found


def _active(settings: Settings) -> list[str]:
    return [airflow.name for airflow in settings.airflows if airflow.state is AirflowState.ACTIVE]


def receivers_of(settings: Settings, asked: MetricsSettings) -> tuple[Receiver, ...]:
    """Who is told, secrets included."""
    secrets = {name: value.get_secret_value() for name, value in settings.alert_secrets.items()}
    return tuple(_receiver(route, secrets.get(route.name)) for route in asked.routes)


def _receiver(route: AlertRoute, secret: str | None) -> Receiver:
    settings, host, port = _integration(route, secret is not None)
    return Receiver(
        name=route.name,
        settings=settings,
        secret=None if secret is None else pulumi.Output.secret(secret),
        airflows=route.airflows,
        severities=route.severities,
        host=host,
        port=port,
    )


def _integration(route: AlertRoute, has_secret: bool) -> tuple[dict[str, Any], str, int]:
    """Alertmanager's settings, and the server that it will talk to."""
    file = f"{SECRETS}/{route.name}"
    resolved = {"send_resolved": True}
    match route.to:
        case MailRoute(to=to, smtp=smtp):
            mail: dict[str, Any] = {
                **resolved,
                "to": ", ".join(to),
                "from": smtp.sender,
                "smarthost": f"{smtp.host}:{smtp.port}",
                "require_tls": smtp.security == "starttls",
            }
            if smtp.user and has_secret:
                mail |= {"auth_username": smtp.user, "auth_password_file": file}
            return {"email_configs": [mail]}, smtp.host, smtp.port
        case SlackRoute():
            return {"slack_configs": [{**resolved, "api_url_file": file, **_SLACK_TEXT}]}, SLACK, 443
        case PagerdutyRoute():
            return {"pagerduty_configs": [{**resolved, "routing_key_file": file}]}, PAGERDUTY, 443
        case WebhookRoute(url=url):
            hook: dict[str, Any] = {**resolved, "url": url}
            if has_secret:
                hook["http_config"] = {"authorization": {"credentials_file": file}}
            return {"webhook_configs": [hook]}, *server(url)


_SLACK_TEXT = {
    "title": "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.airflow }}",
    "text": "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.runbook }}\n{{ end }}",
}
