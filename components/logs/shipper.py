"""fluentd on every node: what Airflows' containers print, line by line, to an Elasticsearch.

A DaemonSet whose pods read the node's log files, which belong to root: the one workload that is neither of a user of
its own nor without the node's folders. It has no capability, no token, and the files read-only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict, ProbeArgsDict

from components.ingress.configuration import CONTROLLER
from components.ingress.configuration import NAMESPACE as INGRESS
from components.ingress.labels import METRICS_READERS
from components.network import DNS, GOOGLES_COLLECTORS, ClusterNetwork, deny_by_default, policy, ports, server
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
    secret_env,
    selector,
)

NAMESPACE = "logs"
METRICS_PORT = 24231
CONFIG_FOLDER = "/fluentd/platform"
LOGS_FOLDER = "/var/log"
"""Files are links from ``containers`` to ``pods``."""
STATE_FOLDER = "/var/lib/airflow-platform-logs"
"""Of the node: positions, buffers, and what was refused outlive the pod."""
SECRET = "store"  # noqa: S105 (a name)
AUTHORITY_FOLDER = "/run/authority"
AUTHORITY = "store-authority"

_RESOURCES = Resources(cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="512Mi")
_FILES = Path(__file__).parent / "files"
_PRIVILEGED = {"pod-security.kubernetes.io/enforce": "privileged"}
"""Folders of the node are more than the lower standards allow."""


@dataclass(frozen=True)
class ShipperArgs:
    """``buffer_mib``: the most that waits on each node while the store is away, for each kind of line.

    ``components``: whether what is no task's line is shipped as well. ``authority``: the certificate (PEM) that the
    store is known by, where it isn't one that everybody knows. ``depends_on``: what must be there before a line comes.
    """

    image: str
    url: str
    user: str
    password: pulumi.Output[str]
    checksum_key: pulumi.Output[str]
    buffer_mib: int = 1024
    components: bool = False
    priority: pulumi.Input[str] | None = None
    network: ClusterNetwork | None = None
    authority: pulumi.Output[str] | None = None
    depends_on: Sequence[pulumi.Resource] = ()
    protect: bool = True


def configuration(components: bool, own_authority: bool = False) -> Mapping[str, str]:
    """fluentd's files by name. ``own_authority``: the store's certificate is one of ours."""
    chosen = "components-shipped.conf" if components else "components-left.conf"
    known = "authority-own.conf" if own_authority else "authority-public.conf"
    sources = {name: name for name in ("fluent.conf", "store.conf", "buffer.conf")}
    sources |= {"components.conf": chosen, "authority.conf": known}
    return {name: (_FILES / source).read_text(encoding="utf-8") for name, source in sources.items()}


def log_files(folder: str, components: bool) -> str:
    """The containers' files in ``folder`` that are read, as fluentd wants it: of Airflows, and of the way in."""
    patterns = ["*_airflow-*_*.log", *([f"*_{INGRESS}_{CONTROLLER}-*.log"] if components else [])]
    return ",".join(f"{folder}/{pattern}" for pattern in patterns)


class Shipper(pulumi.ComponentResource):
    """The namespace ``logs`` with fluentd in it."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: ShipperArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:logs:Shipper", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels=_PRIVILEGED),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        ).metadata.name
        secret = kubernetes.core.v1.Secret(
            f"{name}-store",
            metadata=metadata(SECRET, self.namespace),
            string_data={"user": args.user, "password": args.password},
            opts=child,
        )
        files = configuration(args.components, args.authority is not None)
        config = kubernetes.core.v1.ConfigMap(
            f"{name}-config", metadata=metadata("fluentd", self.namespace), data=files, opts=child
        )
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata("fluentd", self.namespace),
            automount_service_account_token=False,
            opts=child,
        )
        needed: list[pulumi.Resource] = [secret, config, *args.depends_on]
        if args.authority is not None:
            needed.append(
                kubernetes.core.v1.ConfigMap(
                    f"{name}-authority",
                    metadata=metadata(AUTHORITY, self.namespace),
                    data={"ca.crt": args.authority},
                    opts=child,
                )
            )
        if args.network:
            needed.append(self._restrict_access(name, args.url, args.network, child))
        pod = Pod(
            labels=labels(name, "fluentd", version_label(args.image), "fluentd"),
            service_account=account.metadata.name,
            user=0,
            group=0,
            # What is in the buffer is on the node: there is nothing to wait for but the request under way.
            grace_period_seconds=40,
            priority=args.priority,
            checksums={
                "config": checksum(args.checksum_key, *(files[name] for name in sorted(files))),
                "store": checksum(
                    args.checksum_key, args.user, args.password, *([args.authority] if args.authority else [])
                ),
            },
            containers=[_container(args)],
        )
        template = pod_template(pod)
        # The node's log files are root's, and readable by nobody else.
        template["spec"]["security_context"]["run_as_non_root"] = False  # pyright: ignore
        # Wherever Airflow runs a pod, whatever the node is reserved for.
        template["spec"]["tolerations"] = [{"operator": "Exists"}]  # pyright: ignore
        kubernetes.apps.v1.DaemonSet(
            f"{name}-fluentd",
            metadata=metadata("fluentd", self.namespace),
            spec={
                "selector": {"match_labels": selector(name, "fluentd", "fluentd")},
                "update_strategy": {"type": "RollingUpdate", "rolling_update": {"max_unavailable": "34%"}},
                "template": template,
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=needed),
        )
        self.register_outputs({"namespace": self.namespace})

    def _restrict_access(
        self, name: str, url: str, network: ClusterNetwork, child: pulumi.ResourceOptions
    ) -> kubernetes.networking.v1.NetworkPolicy:
        allowed = policy(
            f"{name}-network",
            "fluentd",
            self.namespace,
            {"match_labels": selector(name, "fluentd", "fluentd")},
            child,
            ingress=[
                {
                    "from_": [{"namespace_selector": {"match_labels": METRICS_READERS}}, GOOGLES_COLLECTORS],
                    "ports": ports(METRICS_PORT),
                }
            ],
            egress=[DNS, network.host(*server(url))],
        )
        return deny_by_default(f"{name}-network-default-deny", self.namespace, self, [allowed])


def _container(args: ShipperArgs) -> Container:
    alive: ProbeArgsDict = {"http_get": {"path": "/metrics", "port": METRICS_PORT}, "timeout_seconds": 5}
    return Container(
        name="fluentd",
        image=args.image,
        # The image's own entry point would start it with the image's own configuration.
        command=["fluentd", "-c", f"{CONFIG_FOLDER}/fluent.conf"],
        resources=_RESOURCES,
        ports={"metrics": METRICS_PORT},
        env=[
            *_environment(args),
            secret_env("STORE_USER", SECRET, "user"),
            secret_env("STORE_PASSWORD", SECRET, "password"),
        ],
        mounts=[
            Mount(config_volume("config", "fluentd"), CONFIG_FOLDER),
            Mount({"name": "logs", "host_path": {"path": LOGS_FOLDER, "type": "Directory"}}, LOGS_FOLDER),
            Mount(
                {"name": "state", "host_path": {"path": STATE_FOLDER, "type": "DirectoryOrCreate"}},
                STATE_FOLDER,
                read_only=False,
            ),
            # Ruby takes no folder that all may write to and that has no sticky bit: a volume's has none, memory's has.
            Mount({"name": "tmp", "empty_dir": {"medium": "Memory", "size_limit": "16Mi"}}, "/tmp", read_only=False),
            *([Mount(config_volume("authority", AUTHORITY), AUTHORITY_FOLDER)] if args.authority is not None else []),
        ],
        startup_probe={**alive, "period_seconds": 2, "failure_threshold": 60},
        readiness_probe={**alive, "period_seconds": 10},
        liveness_probe={**alive, "period_seconds": 20, "failure_threshold": 6},
    )


def _environment(args: ShipperArgs) -> list[EnvVarArgsDict]:
    host, port = server(args.url)
    parts = urlsplit(args.url)
    return [
        {"name": name, "value": value}
        for name, value in {
            "LOG_FILES": log_files(f"{LOGS_FOLDER}/containers", args.components),
            "STATE_FOLDER": STATE_FOLDER,
            "METRICS_PORT": str(METRICS_PORT),
            "BUFFER_SIZE": f"{args.buffer_mib}m",
            "STORE_HOST": host,
            "STORE_PORT": str(port),
            "STORE_SCHEME": parts.scheme,
            "STORE_PATH": parts.path.rstrip("/"),
        }.items()
    ]
