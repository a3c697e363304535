"""Alertmanager: groups alerts, and sends each to whoever it is for. One pod; what it has sent is on its volume.

https://prometheus.io/docs/alerting/latest/configuration/
"""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from components.metrics.access import account
from components.metrics.args import ALERTMANAGER_PORT, MetricsArgs, Receiver
from components.metrics.server import Server, kept, run_server, serve
from components.workload import Mount, Resources, checksum, config_volume, metadata, secret_volume

PART = "alertmanager"
CONFIG = "alertmanager.yml"
FOLDER = "/etc/alertmanager"
DATA = "/alertmanager"
SECRETS = "/run/secrets/receivers"
SECRET = "receivers"  # noqa: S105 (a name)
NOBODY = "nobody"
REPEAT_HOURS = 4


def alertmanager_yml(receivers: Sequence[Receiver]) -> str:
    """The configuration file: every receiver gets what its route matches, whatever the others get."""
    routes: list[dict[str, Any]] = []
    for one in receivers:
        matchers = [
            f'{label}=~"{"|".join(values)}"'
            for label, values in (("airflow", one.airflows), ("severity", one.severities))
            if values
        ]
        routes.append({"receiver": one.name, "continue": True, **({"matchers": matchers} if matchers else {})})
    configuration = {
        "route": {
            "receiver": NOBODY,
            # One message for one kind of trouble of one Airflow.
            "group_by": ["alertname", "airflow"],
            "group_wait": "10s",
            "group_interval": "1m",
            "repeat_interval": f"{REPEAT_HOURS}h",
            "routes": routes,
        },
        # Where a part is down, what follows from it is not told as well.
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="AirflowSchedulerDown"'],
                "target_matchers": ['alertname=~"AirflowTasksNotStarting|AirflowScheduleDelayed"'],
                "equal": ["airflow"],
            }
        ],
        "receivers": [{"name": NOBODY}, *({"name": one.name, **one.settings} for one in receivers)],
    }
    return yaml.safe_dump(configuration, sort_keys=False)


def run_alertmanager(
    name: str,
    args: MetricsArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes it; the Service that is returned is there when it takes alerts."""
    opts = pulumi.ResourceOptions(parent=parent)
    text = alertmanager_yml(args.receivers)
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{PART}-config", metadata=metadata(PART, namespace), data={CONFIG: text}, opts=opts
    )
    given = {one.name: one.secret for one in args.receivers if one.secret is not None}
    secret = kubernetes.core.v1.Secret(
        f"{name}-{PART}-receivers", metadata=metadata(SECRET, namespace), string_data=given, opts=opts
    )
    server = Server(
        part=PART,
        image=args.alertmanager_image,
        user=65534,  # of the image
        args=[
            f"--config.file={FOLDER}/{CONFIG}",
            f"--storage.path={DATA}",
            f"--web.listen-address=:{ALERTMANAGER_PORT}",
            # One alone: it would look for others otherwise.
            "--cluster.listen-address=",
        ],
        resources=Resources(cpu="10m", memory="32Mi", cpu_limit="500m", memory_limit="128Mi"),
        mounts=[
            Mount(config_volume("config", PART), FOLDER),
            Mount(secret_volume("receivers", SECRET), SECRETS),
            kept(DATA),
        ],
        ports={"metrics": ALERTMANAGER_PORT},
        ready=("/-/ready", ALERTMANAGER_PORT),
        healthy=("/-/healthy", ALERTMANAGER_PORT),
        starts_within=60,
        checksums={
            "config": checksum(args.checksum_key, text),
            "receivers": checksum(args.checksum_key, *given.values()),
        },
        volume="1Gi",
        storage_class=args.retention.storage_class,
    )
    who = account(name, PART, namespace, parent).metadata.name
    running = run_server(name, server, args, namespace, who, parent, [config, secret, *depends_on])
    return serve(name, server, namespace, parent, running)
