"""Grafana: shows what Prometheus has. All that it knows comes from files, so a pod that is gone is no loss.

https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
import yaml
from pulumi_kubernetes.core.v1 import ConfigMapVolumeSourceArgsDict, ProbeArgsDict

from components.metrics.access import account
from components.metrics.args import GRAFANA_PORT, NAMESPACE, PROMETHEUS_PORT, MetricsArgs
from components.metrics.dashboards import DASHBOARDS, dashboard_json
from components.metrics.dashboards.panels import SOURCE
from components.versions import version_label
from components.workload import (
    Container,
    Mount,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
    scratch,
    secret_volume,
    selector,
)

PART = "grafana"
USER = "admin"
SECRET = "grafana"  # noqa: S105 (a name)
FOLDER = "Airflow"
HOME = "airflow-glance"
_SECRETS = "/run/secrets/grafana"
_DASHBOARDS = "/etc/grafana/dashboards"
_UID = 472  # of the image


def provisioning(interval_seconds: int) -> dict[str, str]:
    """The files that tell Grafana where its data and its dashboards are."""
    sources = {
        "apiVersion": 1,
        "prune": True,
        "datasources": [
            {
                "name": "Prometheus",
                "uid": SOURCE,
                "type": "prometheus",
                "access": "proxy",
                "url": f"http://prometheus:{PROMETHEUS_PORT}",
                "isDefault": True,
                "editable": False,
                "jsonData": {"timeInterval": f"{interval_seconds}s", "httpMethod": "POST"},
            }
        ],
    }
    dashboards = {
        "apiVersion": 1,
        "providers": [
            {
                "name": "airflow-platform",
                "folder": FOLDER,
                "folderUid": "airflow-platform",
                "type": "file",
                "disableDeletion": True,
                "allowUiUpdates": False,
                "options": {"path": _DASHBOARDS},
            }
        ],
    }
    return {"datasources.yaml": yaml.safe_dump(sources), "dashboards.yaml": yaml.safe_dump(dashboards)}


def run_grafana(
    name: str,
    image: str,
    args: MetricsArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes it, with a generated password for its administrator in the Secret ``grafana``."""
    opts = pulumi.ResourceOptions(parent=parent)
    password = random.RandomPassword(f"{name}-{PART}-password", length=32, special=False, opts=opts).result
    secret = kubernetes.core.v1.Secret(
        f"{name}-{PART}-admin",
        metadata=metadata(SECRET, namespace),
        string_data={"username": USER, "password": password},
        opts=opts,
    )
    told, pages = provisioning(args.interval_seconds), {f"{one.uid}.json": dashboard_json(one) for one in DASHBOARDS}
    made = [
        kubernetes.core.v1.ConfigMap(
            f"{name}-{PART}-{what}", metadata=metadata(f"{PART}-{what}", namespace), data=files, opts=opts
        )
        for what, files in (("provisioning", told), ("dashboards", pages))
    ]
    who = account(name, PART, namespace, parent)
    chosen = selector(NAMESPACE, PART, NAMESPACE)
    version = version_label(image)
    healthy: ProbeArgsDict = {"http_get": {"path": "/api/health", "port": GRAFANA_PORT}, "timeout_seconds": 5}
    settings = {
        "GF_SECURITY_ADMIN_USER": USER,
        "GF_SECURITY_ADMIN_PASSWORD__FILE": f"{_SECRETS}/password",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        "GF_UNIFIED_ALERTING_ENABLED": "false",
        "GF_LOG_MODE": "console",
        "GF_SECURITY_COOKIE_SECURE": "true" if args.grafana_url else "false",
        "GF_PATHS_PROVISIONING": "/etc/grafana/platform",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{_DASHBOARDS}/{HOME}.json",
    }
    if args.grafana_url:
        settings["GF_SERVER_ROOT_URL"] = args.grafana_url
    pod = Pod(
        labels=labels(NAMESPACE, PART, version, NAMESPACE),
        service_account=who.metadata.name,
        user=_UID,
        group=_UID,
        nodes=args.nodes,
        priority=args.priority,
        checksums={
            "files": checksum(args.checksum_key, *told.values(), *pages.values()),
            "admin": checksum(args.checksum_key, password),
        },
        containers=[
            Container(
                name=PART,
                image=image,
                resources=Resources(cpu="20m", memory="128Mi", cpu_limit="1", memory_limit="512Mi"),
                env=[{"name": key, "value": value} for key, value in settings.items()],
                mounts=[
                    _file("provisioning", "datasources"),
                    _file("provisioning", "dashboards"),
                    Mount(config_volume("pages", f"{PART}-dashboards"), _DASHBOARDS),
                    Mount(secret_volume("admin", SECRET), _SECRETS),
                    scratch("data", "/var/lib/grafana"),
                    scratch("tmp", "/tmp"),
                ],
                ports={"metrics": GRAFANA_PORT},
                startup_probe={**healthy, "period_seconds": 2, "failure_threshold": 90},
                readiness_probe={**healthy, "period_seconds": 10},
                liveness_probe={**healthy, "period_seconds": 30, "failure_threshold": 5},
            )
        ],
    )
    deployment = kubernetes.apps.v1.Deployment(
        f"{name}-{PART}",
        metadata=metadata(PART, namespace),
        spec={
            "replicas": 1,
            "revision_history_limit": 3,
            "selector": {"match_labels": chosen},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[secret, *made, *depends_on]),
    )
    return kubernetes.core.v1.Service(
        f"{name}-{PART}-service",
        metadata=metadata(PART, namespace),
        spec={"selector": chosen, "ports": [{"name": "http", "port": GRAFANA_PORT, "target_port": "metrics"}]},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[deployment]),
    )


def _file(config: str, kind: str) -> Mount:
    """One of the provisioning files, in the folder where Grafana looks for its kind."""
    source: ConfigMapVolumeSourceArgsDict = {
        "name": f"{PART}-{config}",
        "items": [{"key": f"{kind}.yaml", "path": "platform.yaml"}],
    }
    return Mount({"name": kind, "config_map": source}, f"/etc/grafana/platform/{kind}")
