"""From settings to the shipper of logs, and to a store of the environment's own."""

from dataclasses import dataclass, replace

import pulumi

from components.airflow import ElasticsearchLogs, GivenSecrets
from components.gcp.node_pools import POOL_LABEL
from components.ingress import Backend, Routes
from components.logs import KibanaArgs, LogStore, LogStoreArgs, Retention, Shipper, ShipperArgs, Snapshots
from components.logs.kibana import PORT as KIBANA_PORT
from components.logs.objects import SHIPPER, reader_of
from components.network import ClusterNetwork
from components.versions import ImageSource
from components.workload import Nodes
from infra.foundations import Kubernetes
from infra.google_cloud import GoogleCloud
from infra.ingress import lead_beside
from infra.log_snapshots import log_snapshots
from infra.settings import AirflowSettings, AirflowState, ElasticsearchTaskLogs, GkeCluster, Settings
from infra.settings.ingress_addresses import beside
from infra.settings.logs import GivenLogs, OwnLogs
from infra.settings.logs_rules import log_plan

IMAGE = "fluentd"
ELASTICSEARCH = "elasticsearch"
EXPORTER = "elasticsearch-exporter"
KIBANA = "kibana"
STORE = "log-store"
VERSION = 9
"""Of the Elasticsearch that is made here, as its clients name it."""
ALL_TASKS = "logs-airflow.task-*"


def log_images(settings: Settings) -> frozenset[str]:
    """The names of the images that logs take."""
    logs = settings.logs
    if logs is None:
        return frozenset()
    found = {IMAGE}
    if isinstance(logs, OwnLogs):
        found.add(ELASTICSEARCH)
        found |= {KIBANA} if logs.kibana else set()
        found |= {EXPORTER} if settings.metrics else set()
    return frozenset(found)


@dataclass(frozen=True)
class LogParts:
    """What there is of logs beside the Airflows: the store that is made here, and what ships to it or to another."""

    store: LogStore | None = None
    shipper: Shipper | None = None


def logs_of(
    settings: Settings,
    google: GoogleCloud | None,
    cluster: Kubernetes,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    network: ClusterNetwork | None,
    nodes: Nodes | None,
    priority: pulumi.Input[str],
    routes: Routes | None,
    opts: pulumi.ResourceOptions,
) -> LogParts:
    """Elasticsearch, Kibana and fluentd, as far as the settings ask for them. ``nodes``: where the store runs if there
    are none for it alone."""
    logs = settings.logs
    if logs is None:
        return LogParts()
    store = None
    if isinstance(logs, OwnLogs):
        taken = log_snapshots(google, cluster, logs.retention.days) if google and logs.snapshots else None
        store = _keep(settings, logs, taken, images, checksum_key, network, nodes, priority, opts)
        if store.kibana:
            # It has a login of its own.
            lead_beside(routes, settings, KIBANA, Backend(store.namespace, KIBANA, KIBANA_PORT, [store.kibana]))
    return LogParts(store, _ship(settings, logs, store, images, checksum_key, network, priority, opts))


def _keep(
    settings: Settings,
    logs: OwnLogs,
    snapshots: Snapshots | None,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    network: ClusterNetwork | None,
    nodes: Nodes | None,
    priority: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> LogStore:
    plan = log_plan(settings, logs)
    own_nodes = _nodes(settings)
    address = beside(KIBANA, settings)
    return LogStore(
        STORE,
        LogStoreArgs(
            image=images.reference(ELASTICSEARCH),
            checksum_key=checksum_key,
            readers=[one.name for one in settings.airflows if one.state is AirflowState.ACTIVE],
            retired=[one.name for one in settings.airflows if one.state is AirflowState.RETIRED],
            retention=Retention(logs.retention.days, plan.rollover_days, plan.rollover_gib),
            components=logs.components,
            nodes=logs.nodes,
            memory=logs.memory,
            cpu=logs.cpu,
            cpu_limit=logs.cpu_limit,
            volume_gib=logs.volume_gib,
            storage_class=logs.storage_class,
            one_a_zone=logs.spread == "zones",
            memory_mapped=own_nodes is not None,
            rotation=logs.rotation,
            snapshots=snapshots,
            kibana=KibanaArgs(images.reference(KIBANA), address.url if address else None) if logs.kibana else None,
            exporter_image=images.reference(EXPORTER) if settings.metrics else None,
            network=network,
            own_nodes=own_nodes,
            placed=nodes,
            priority=priority,
            protect=not settings.ephemeral,
        ),
        opts,
    )


def _nodes(settings: Settings) -> Nodes | None:
    """Nodes for it alone, which have ``vm.max_map_count`` raised."""
    cluster = settings.cluster
    if not isinstance(cluster, GkeCluster) or cluster.node_pools.logs is None:
        return None
    return Nodes({POOL_LABEL: "logs"}, {POOL_LABEL: "logs"})


def _ship(
    settings: Settings,
    logs: GivenLogs | OwnLogs,
    store: LogStore | None,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    network: ClusterNetwork | None,
    priority: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Shipper:
    if isinstance(logs, OwnLogs):
        assert store is not None  # of that kind
        url, user, password = store.url, SHIPPER, store.passwords[SHIPPER]
    else:
        assert settings.logs_password is not None  # the settings see to it
        url, user = logs.url, logs.user
        password = pulumi.Output.secret(settings.logs_password.get_secret_value())
    return Shipper(
        "logs",
        ShipperArgs(
            image=images.reference(IMAGE),
            url=url,
            user=user,
            password=password,
            checksum_key=checksum_key,
            buffer_mib=logs.buffer_mib,
            components=logs.components,
            priority=priority,
            network=network,
            authority=store.authority if store else None,
            depends_on=[store.ready] if store else [],
            protect=not settings.ephemeral,
        ),
        opts,
    )


def stored_logs(
    asked: ElasticsearchTaskLogs, airflow: AirflowSettings, settings: Settings, store: LogStore | None
) -> ElasticsearchLogs:
    """Where ``airflow`` reads its tasks' lines."""
    if asked.url is not None:
        return ElasticsearchLogs(asked.url, asked.index_patterns or ALL_TASKS, asked.version, asked.kibana_url)
    assert store is not None  # the settings see to it
    address = beside(KIBANA, settings) if store.kibana else None
    return ElasticsearchLogs(
        store.url,
        f"logs-airflow.task-{airflow.name}",
        VERSION,
        address.url if address else None,
        store.authority,
        (store.ready,),
    )


def with_login(given: GivenSecrets, airflow: AirflowSettings, store: LogStore | None) -> GivenSecrets:
    """``given``, and how ``airflow`` signs in to the environment's own store, if that is where it reads."""
    asked = airflow.task_logs
    if store is None or not isinstance(asked, ElasticsearchTaskLogs) or asked.url is not None:
        return given
    user = reader_of(airflow.name)
    # Of one that is retired nobody reads any more.
    password = store.passwords.get(user, pulumi.Output.secret(""))
    return replace(given, elasticsearch_user=pulumi.Output.from_input(user), elasticsearch_password=password)
