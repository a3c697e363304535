"""Grafana: shows what Prometheus has. All that it knows comes from files, so a pod that is gone is no loss.

https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
import yaml
from pulumi_kubernetes.core.v1 import ConfigMapVolumeSourceArgsDict

from components.metrics.access import account
from components.metrics.args import GRAFANA_PORT, PROMETHEUS_PORT, MetricsArgs
from components.metrics.dashboards import DASHBOARDS, dashboard_json
from components.metrics.dashboards.panels import SOURCE
from components.metrics.server import Server, run_server, serve
from components.workload import Mount, Resources, checksum, config_volume, metadata, scratch, secret_volume

PART = "grafana"
USER = "admin"
SECRET = "grafana"  # noqa: S105 (a name)
FOLDER = "Airflow"
HOME = "airflow-glance"
_SECRETS = "/run/secrets/grafana"
_DASHBOARDS = "/etc/grafana/dashboards"
_HEALTH = ("/api/health", GRAFANA_PORT)


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
    server = Server(
        part=PART,
        image=image,
        user=472,  # of the image
        env=[{"name": key, "value": value} for key, value in settings.items()],
        resources=Resources(cpu="20m", memory="128Mi", cpu_limit="1", memory_limit="512Mi"),
        mounts=[
            _file("provisioning", "datasources"),
            _file("provisioning", "dashboards"),
            Mount(config_volume("pages", f"{PART}-dashboards"), _DASHBOARDS),
            Mount(secret_volume("admin", SECRET), _SECRETS),
            scratch("data", "/var/lib/grafana"),
            scratch("tmp", "/tmp"),
        ],
        ports={"metrics": GRAFANA_PORT},
        ready=_HEALTH,
        healthy=_HEALTH,
        starts_within=180,
        checksums={
            "files": checksum(args.checksum_key, *told.values(), *pages.values()),
            "admin": checksum(args.checksum_key, password),
        },
    )
    who = account(name, PART, namespace, parent).metadata.name
    running = run_server(name, server, args, namespace, who, parent, [secret, *made, *depends_on])
    return serve(name, server, namespace, parent, running)


def _file(config: str, kind: str) -> Mount:
    """One of the provisioning files, in the folder where Grafana looks for its kind."""
    source: ConfigMapVolumeSourceArgsDict = {
        "name": f"{PART}-{config}",
        "items": [{"key": f"{kind}.yaml", "path": "platform.yaml"}],
    }
    return Mount({"name": kind, "config_map": source}, f"/etc/grafana/platform/{kind}")
