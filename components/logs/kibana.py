"""Kibana: shows what Elasticsearch has, to people who sign in with Elasticsearch's own users.

https://www.elastic.co/docs/reference/kibana/configuration-reference
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
import yaml
from pulumi_kubernetes.core.v1 import ProbeArgsDict

from components.logs.bootstrap import PLAN, run_plan
from components.logs.elasticsearch import CLUSTER, Superuser
from components.logs.kibana_objects import TASK_VIEW, saved_objects
from components.logs.objects import VIEWER
from components.logs.store_args import NAMESPACE, UID, URL, KibanaArgs, LogStoreArgs
from components.logs.store_certificates import AUTHORITY_FILE
from components.versions import version_label
from components.workload import (
    Container,
    Labels,
    Mount,
    Pod,
    Resources,
    checksum,
    config_volume,
    labels,
    metadata,
    pod_template,
    scratch,
    secret_env,
    selector,
)

NAME: Final = "kibana"
PORT: Final = 5601
SYSTEM_USER: Final = "kibana_system"
"""Elasticsearch's own user for it: the superuser is refused."""
SECRET: Final = NAME
VIEWER_SECRET: Final = "kibana-viewer"  # noqa: S105 (a name)
SELECTOR: Final[Labels] = selector(CLUSTER, NAME, NAME)
_CONFIG: Final = "/run/kibana"
_AUTHORITY: Final = "/run/authority"
_KEYS: Final = {"SESSION_KEY": "session-key", "OBJECTS_KEY": "objects-key", "KIBANA_SYSTEM_PASSWORD": "password"}
"""Variables that the configuration takes its secrets from: such that the image's start doesn't know, for those that it
knows it puts into the command line."""
_HEAP_MIB: Final = 1024
_RESOURCES: Final = Resources(cpu="100m", memory="1Gi", cpu_limit="2", memory_limit="2Gi")


def kibana_yml(args: KibanaArgs) -> str:
    """The configuration. It asks nobody outside the cluster for anything."""
    told: dict[str, Any] = {
        "server.name": NAME,
        "server.host": "0.0.0.0",
        "server.port": PORT,
        "elasticsearch.hosts": [URL],
        "elasticsearch.username": SYSTEM_USER,
        "elasticsearch.password": "${KIBANA_SYSTEM_PASSWORD}",
        "elasticsearch.ssl.certificateAuthorities": [f"{_AUTHORITY}/{AUTHORITY_FILE}"],
        "xpack.security.encryptionKey": "${SESSION_KEY}",
        "xpack.security.secureCookies": args.url is not None,
        "xpack.encryptedSavedObjects.encryptionKey": "${OBJECTS_KEY}",
        "xpack.fleet.isAirGapped": True,
        "xpack.reporting.enabled": False,
        "telemetry.optIn": False,
        "newsfeed.enabled": False,
        # Where a link from Airflow leads, which names no view.
        "uiSettings.overrides": {"defaultIndex": TASK_VIEW},
    }
    if args.url:
        told["server.publicBaseUrl"] = args.url
    return yaml.safe_dump(told, sort_keys=False)


def run_kibana(
    name: str,
    asked: KibanaArgs,
    args: LogStoreArgs,
    passwords: Mapping[str, pulumi.Output[str]],
    superuser: Superuser,
    authority: kubernetes.core.v1.ConfigMap,
    namespace: pulumi.Output[str],
    teller: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.core.v1.Service:
    """Makes it, with views, a search and a dashboard in it. People sign in as ``viewer``, whose password is in the
    Secret ``kibana-viewer``."""
    opts = pulumi.ResourceOptions(parent=parent)
    # Not made anew by a rotation: what was encrypted with them could not be read again.
    session, objects_key = (
        random.RandomPassword(f"{name}-{NAME}-{key}", length=64, special=False, opts=opts).result
        for key in ("session-key", "objects-key")
    )
    secret = kubernetes.core.v1.Secret(
        f"{name}-{NAME}",
        metadata=metadata(SECRET, namespace),
        string_data={"session-key": session, "objects-key": objects_key, "password": passwords[SYSTEM_USER]},
        opts=opts,
    )
    kubernetes.core.v1.Secret(
        f"{name}-{VIEWER_SECRET}",
        metadata=metadata(VIEWER_SECRET, namespace),
        string_data={"username": VIEWER, "password": passwords[VIEWER]},
        opts=opts,
    )
    told = kibana_yml(asked)
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{NAME}-config", metadata=metadata(NAME, namespace), data={"kibana.yml": told}, opts=opts
    )
    account = kubernetes.core.v1.ServiceAccount(
        f"{name}-{NAME}-service-account",
        metadata=metadata(NAME, namespace),
        automount_service_account_token=False,
        opts=opts,
    )
    sums = {
        "config": checksum(args.checksum_key, told),
        "secrets": checksum(args.checksum_key, session, objects_key, passwords[SYSTEM_USER]),
    }
    pod = Pod(
        labels=labels(CLUSTER, NAME, version_label(asked.image), NAME),
        service_account=account.metadata.name,
        user=UID,
        group=UID,
        nodes=args.placed,
        priority=args.priority,
        checksums=sums,
        containers=[_container(asked)],
    )
    running = kubernetes.apps.v1.Deployment(
        f"{name}-{NAME}",
        metadata=metadata(NAME, namespace),
        spec={
            "replicas": 1,
            "revision_history_limit": 3,
            # Two versions side by side would both want to change what is stored.
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": SELECTOR},
            "template": pod_template(pod),
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[secret, config, authority, *depends_on]),
    )
    service = kubernetes.core.v1.Service(
        f"{name}-{NAME}-service",
        metadata=metadata(NAME, namespace),
        spec={"selector": SELECTOR, "ports": [{"name": "http", "port": PORT, "target_port": "http"}]},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[running]),
    )
    run_plan(
        name,
        NAME,
        {"SERVER": f"http://{NAME}.{NAMESPACE}.svc.cluster.local:{PORT}", "HEALTH": "/api/status"},
        args,
        superuser,
        {
            PLAN: "IMPORT /api/saved_objects/_import?overwrite=true objects.ndjson\n",
            "objects.ndjson": saved_objects(args.components),
        },
        namespace,
        teller,
        parent,
        [service, *depends_on],
    )
    return service


def _container(asked: KibanaArgs) -> Container:
    # What people see first; until Kibana has spoken to Elasticsearch it says 503 there.
    alive: ProbeArgsDict = {"http_get": {"path": "/login", "port": PORT}, "timeout_seconds": 5}
    return Container(
        name=NAME,
        image=asked.image,
        resources=_RESOURCES,
        env=[
            {"name": "KBN_PATH_CONF", "value": _CONFIG},
            {"name": "NODE_OPTIONS", "value": f"--max-old-space-size={_HEAP_MIB}"},
            *(secret_env(variable, SECRET, key) for variable, key in _KEYS.items()),
        ],
        mounts=[
            Mount(config_volume("config", NAME), _CONFIG),
            Mount(config_volume("authority", "elasticsearch-authority"), _AUTHORITY),
            scratch("data", "/usr/share/kibana/data"),
            scratch("logs", "/usr/share/kibana/logs"),
            scratch("tmp", "/tmp"),
        ],
        ports={"http": PORT},
        startup_probe={**alive, "period_seconds": 5, "failure_threshold": 120},
        readiness_probe={**alive, "period_seconds": 10},
        liveness_probe={"tcp_socket": {"port": PORT}, "period_seconds": 30, "failure_threshold": 6},
    )
