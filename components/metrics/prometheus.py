"""Prometheus: asks everything that is measured, keeps the answers for a while, and finds what is wrong by them."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.metrics.access import FIND_PODS, account, allow_in, allow_nodes
from components.metrics.alerts import rules_yml
from components.metrics.args import PROMETHEUS_PORT, MetricsArgs
from components.metrics.discovery import RULES, prometheus_yml
from components.metrics.server import Server, kept, run_server, serve
from components.workload import Mount, Resources, checksum, config_volume, metadata

PART = "prometheus"
FOLDER = "/etc/prometheus"
DATA = "/var/lib/prometheus"


def run_prometheus(
    name: str,
    args: MetricsArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes it; the Service that is returned is there when it answers."""
    opts = pulumi.ResourceOptions(parent=parent)
    end = pulumi.Output.from_input(args.certificate)
    rules = end.apply(lambda certificate: rules_yml(args.series_limit, certificate, args.connections))
    files: dict[str, pulumi.Input[str]] = {"prometheus.yml": prometheus_yml(args), RULES: rules}
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{PART}-config", metadata=metadata(PART, namespace), data=files, opts=opts
    )
    who = account(name, PART, namespace, parent).metadata.name
    allowed = allow_in(PART, FIND_PODS, args, who, namespace, parent)
    allowed += allow_nodes(who, namespace, parent)
    server = Server(
        part=PART,
        image=args.prometheus_image,
        user=65534,  # of the image
        args=[
            f"--config.file={FOLDER}/prometheus.yml",
            f"--storage.tsdb.path={DATA}",
            f"--storage.tsdb.retention.time={args.retention.days}d",
            f"--storage.tsdb.retention.size={args.retention.size_gib}GB",
            f"--web.listen-address=:{PROMETHEUS_PORT}",
        ],
        resources=Resources(cpu="50m", memory="192Mi", cpu_limit="1", memory_limit="2Gi"),
        mounts=[Mount(config_volume("config", PART), FOLDER), kept(DATA)],
        ports={"metrics": PROMETHEUS_PORT},
        ready=("/-/ready", PROMETHEUS_PORT),
        healthy=("/-/healthy", PROMETHEUS_PORT),
        # It reads what it had not yet written whole when it ended: minutes, with much of it.
        starts_within=600,
        checksums={"config": checksum(args.checksum_key, *files.values())},
        api_access=True,
        grace_period_seconds=120,
        volume=args.retention.volume,
        storage_class=args.retention.storage_class,
    )
    running = run_server(name, server, args, namespace, who, parent, [config, *allowed, *depends_on])
    return serve(name, server, namespace, parent, running)
