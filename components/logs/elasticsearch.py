"""Elasticsearch's nodes: all of them may be master and hold data, each with a volume of its own.

https://www.elastic.co/docs/reference/elasticsearch/configuration-reference/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pulumi_kubernetes.core.v1 import PodTemplateSpecArgsDict, ProbeArgsDict

from components.availability import disruption_budget
from components.logs.store_args import (
    ELASTICSEARCH,
    NAMESPACE,
    NODES_SERVICE,
    PORT,
    TRANSPORT_PORT,
    UID,
    LogStoreArgs,
)
from components.logs.store_certificates import SECRET as TLS
from components.versions import version_label
from components.workload import (
    OWNER,
    Container,
    Labels,
    Mount,
    Pod,
    Resources,
    checksum,
    claim_spec,
    config_volume,
    labels,
    metadata,
    pod_template,
    scratch,
    secret_env,
    secret_volume,
    selector,
)

CLUSTER: Final = "logs"
SUPERUSER: Final = "elastic"
SUPERUSER_SECRET: Final = "elastic"  # noqa: S105 (a name)
LOGIN_FILE: Final = "curl.conf"
LOGIN_FOLDER: Final = "/run/secrets/elastic"
CONFIG_FOLDER: Final = "/usr/share/elasticsearch/config"
SELECTOR: Final[Labels] = selector(CLUSTER, ELASTICSEARCH, ELASTICSEARCH)
_FILES: Final = Path(__file__).parent / "files"
_CONFIG_MAP: Final = ELASTICSEARCH
_PLATFORM: Final = "/run/platform"
_JAVA_LOG: Final = "-Xlog:disable -Xlog:all=warning:stderr:utctime,level,tags"
"""Java's own warnings where every other line is; by default its collector fills files."""
_SMALL: Final = Resources(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="128Mi")


@dataclass(frozen=True)
class Superuser:
    """Elasticsearch's own administrator, whom no person and no program uses but what sets it up."""

    password: pulumi.Output[str]
    secret: kubernetes.core.v1.Secret

    @staticmethod
    def mount() -> Mount:
        """What curl signs in with, as a file."""
        return Mount(secret_volume("elastic", SUPERUSER_SECRET), LOGIN_FOLDER)


def keep_superuser(
    name: str, password: pulumi.Output[str], namespace: pulumi.Output[str], parent: pulumi.Resource
) -> Superuser:
    """Puts the password into a Secret: for the nodes, and for curl as a file, since arguments can be seen."""
    secret = kubernetes.core.v1.Secret(
        f"{name}-{SUPERUSER_SECRET}",
        metadata=metadata(SUPERUSER_SECRET, namespace),
        string_data={
            "password": password,
            LOGIN_FILE: password.apply(lambda text: f'user = "{SUPERUSER}:{text}"\n'),
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return Superuser(password, secret)


def elasticsearch_yml(args: LogStoreArgs) -> str:
    """The nodes' configuration, the same for one node as for three: one node may get two more."""
    certificate = {
        "key": "certs/tls.key",
        "certificate": "certs/tls.crt",
        "certificate_authorities": ["certs/ca.crt"],
        "enabled": True,
    }
    told: dict[str, Any] = {
        "cluster.name": CLUSTER,
        "node.name": "${POD_NAME}",
        "network.host": "0.0.0.0",
        "discovery.seed_hosts": [f"{NODES_SERVICE}.{NAMESPACE}.svc.cluster.local"],
        # Looked at by the very first start alone.
        "cluster.initial_master_nodes": [f"{ELASTICSEARCH}-{number}" for number in range(args.nodes)],
        # Mapped files need vm.max_map_count raised on the node; without them reading is slower, and nothing privileged.
        "node.store.allow_mmap": args.memory_mapped,
        "ingest.geoip.downloader.enabled": False,
        "xpack.ml.enabled": False,
        "xpack.security.enabled": True,
        "xpack.security.enrollment.enabled": False,
        "xpack.security.autoconfiguration.enabled": False,
        # Nodes connect to one another by address, which no certificate names; that it is of our authority is enough.
        "xpack.security.transport.ssl.verification_mode": "certificate",
    }
    for way in ("transport", "http"):
        told |= {f"xpack.security.{way}.ssl.{key}": value for key, value in certificate.items()}
    return yaml.safe_dump(told, sort_keys=False)


def run_elasticsearch(
    name: str,
    args: LogStoreArgs,
    superuser: Superuser,
    account: pulumi.Output[str],
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes the nodes; the Service that is returned is there when they answer."""
    opts = pulumi.ResourceOptions(parent=parent)
    files = {"elasticsearch.yml": elasticsearch_yml(args), "ready.sh": (_FILES / "ready.sh").read_text("utf-8")}
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-config", metadata=metadata(_CONFIG_MAP, namespace), data=files, opts=opts
    )
    # Before the pods: it is how they find one another, also while none is ready.
    nodes = kubernetes.core.v1.Service(
        f"{name}-nodes",
        metadata=metadata(NODES_SERVICE, namespace),
        spec={
            "cluster_ip": "None",
            "publish_not_ready_addresses": True,
            "selector": SELECTOR,
            "ports": [{"name": "transport", "port": TRANSPORT_PORT}, {"name": "https", "port": PORT}],
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
    template = pod_template(_pod(args, superuser, account, files))
    _spread(template, args)
    running = kubernetes.apps.v1.StatefulSet(
        f"{name}-{ELASTICSEARCH}",
        metadata=metadata(ELASTICSEARCH, namespace),
        spec={
            "service_name": NODES_SERVICE,
            "replicas": args.nodes,
            # The first start needs more than one of them; a roll goes one by one all the same.
            "pod_management_policy": "Parallel",
            "selector": {"match_labels": SELECTOR},
            "template": template,
            "volume_claim_templates": [
                {
                    "metadata": {"name": "data", "labels": dict(OWNER)},
                    "spec": claim_spec(f"{args.volume_gib}Gi", "ReadWriteOnce", args.storage_class),
                }
            ],
        },
        opts=pulumi.ResourceOptions(
            parent=parent,
            protect=args.protect,
            depends_on=[config, nodes, superuser.secret, *depends_on],
            # They can't be changed; a StatefulSet that is made anew would take all nodes at once. Claims are grown as
            # docs/logs.md says.
            ignore_changes=["spec.volumeClaimTemplates"],
            # Each node waits until all shards have their copies again.
            custom_timeouts=pulumi.CustomTimeouts(create="30m", update="2h"),
        ),
    )
    disruption_budget(f"{name}-budget", ELASTICSEARCH, namespace, SELECTOR, args.nodes, parent)
    return kubernetes.core.v1.Service(
        f"{name}-service",
        metadata=metadata(ELASTICSEARCH, namespace),
        spec={"selector": SELECTOR, "ports": [{"name": "https", "port": PORT, "target_port": "https"}]},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[running]),
    )


def _spread(template: PodTemplateSpecArgsDict, args: LogStoreArgs) -> None:
    """Nodes apart, by machine where there are some; by zone for certain where that is asked for: a volume stays in the
    zone that its node was first in."""
    if args.nodes == 1:
        return
    template["spec"]["topology_spread_constraints"] = [  # pyright: ignore
        {
            "max_skew": 1,
            "topology_key": key,
            "when_unsatisfiable": "DoNotSchedule" if certain else "ScheduleAnyway",
            "label_selector": {"match_labels": SELECTOR},
        }
        for key, certain in (("topology.kubernetes.io/zone", args.one_a_zone), ("kubernetes.io/hostname", False))
    ]


def _pod(args: LogStoreArgs, superuser: Superuser, account: pulumi.Output[str], files: dict[str, str]) -> Pod:
    answers: ProbeArgsDict = {"tcp_socket": {"port": PORT}, "timeout_seconds": 5}
    copied = f"cp -r {CONFIG_FOLDER}/. /run/config/ && cp {_PLATFORM}/elasticsearch.yml /run/config/"
    platform = Mount(config_volume("platform", _CONFIG_MAP), _PLATFORM)
    java = f"-Xms{args.heap_mib}m -Xmx{args.heap_mib}m {_JAVA_LOG}"
    return Pod(
        labels=labels(CLUSTER, ELASTICSEARCH, version_label(args.image), ELASTICSEARCH),
        service_account=account,
        user=UID,
        group=UID,
        # It closes its shards and hands over what it leads.
        grace_period_seconds=120,
        nodes=args.own_nodes or args.placed,
        priority=args.priority,
        checksums={
            "config": checksum(args.checksum_key, *files.values()),
            "elastic": checksum(args.checksum_key, superuser.password),
        },
        init_containers=[
            # The image's own files and ours in one folder, which Elasticsearch writes its keystore into.
            Container(
                name="config",
                image=args.image,
                command=["bash", "-c", copied],
                resources=_SMALL,
                mounts=[Mount({"name": "config", "empty_dir": {}}, "/run/config", read_only=False), platform],
            )
        ],
        containers=[
            Container(
                name=ELASTICSEARCH,
                image=args.image,
                resources=args.resources,
                ports={"https": PORT, "transport": TRANSPORT_PORT},
                env=[
                    {"name": "POD_NAME", "value_from": {"field_ref": {"field_path": "metadata.name"}}},
                    # The image's start puts it into the keystore; it is who `elastic` is as long as nobody says else.
                    secret_env("ELASTIC_PASSWORD", SUPERUSER_SECRET, "password"),
                    {"name": "ES_JAVA_OPTS", "value": java},
                    {"name": "ES_TMPDIR", "value": "/tmp"},
                ],
                mounts=[
                    Mount({"name": "config", "empty_dir": {}}, CONFIG_FOLDER, read_only=False),
                    Mount(secret_volume("certs", TLS), f"{CONFIG_FOLDER}/certs"),
                    Mount({"name": "data"}, "/usr/share/elasticsearch/data", read_only=False, claimed=True),
                    scratch("logs", "/usr/share/elasticsearch/logs"),
                    scratch("tmp", "/tmp"),
                    platform,
                    superuser.mount(),
                ],
                startup_probe={**answers, "period_seconds": 5, "failure_threshold": 120},
                readiness_probe={
                    "exec_": {"command": ["bash", f"{_PLATFORM}/ready.sh"]},
                    "period_seconds": 10,
                    "timeout_seconds": 10,
                },
                liveness_probe={**answers, "period_seconds": 30, "failure_threshold": 6},
                # Who is connected hears of it first.
                lifecycle={"pre_stop": {"sleep": {"seconds": 5}}},
            )
        ],
    )
