"""Rules between the settings of an environment on Google Cloud."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.gcp.naming import IMAGES_REPOSITORY, Organisation
from infra.settings.airflow import GcsTaskLogs, VolumeTaskLogs
from infra.settings.cluster import GkeCluster
from infra.settings.database import CloudSqlDatabase, ExistingDatabase
from infra.settings.dev_stacks import StackCluster
from infra.settings.google import ExistingNetwork, Google, OwnNetwork
from infra.settings.planning import Ranges, address_problems, most_nodes, tier_problems

if TYPE_CHECKING:
    from infra.settings.environment import Settings

ON_GOOGLE = (GkeCluster, CloudSqlDatabase, ExistingDatabase)


def cloud_problems(settings: "Settings") -> list[str]:
    """Everything in ``settings`` that Google Cloud, or this platform on it, would not take."""
    return [
        *_place_problems(settings),
        *_cluster_problems(settings),
        *_database_problems(settings),
        *_airflow_problems(settings),
    ]


def own_network(settings: "Settings") -> OwnNetwork:
    """The network's settings where the environment makes it."""
    return settings.network if isinstance(settings.network, OwnNetwork) else OwnNetwork(kind="vpc")


def organisation_of(google: Google) -> Organisation:
    """What the bootstrap stack has made for the environment."""
    return Organisation(google.platform_project, google.region)


def _place_problems(settings: "Settings") -> Iterator[str]:
    if settings.google is None:
        for key in ("cluster", "database"):
            part = getattr(settings, key)
            if isinstance(part, ON_GOOGLE):
                yield (
                    f"{key}: kind '{part.kind}' is on Google Cloud, and nothing says where. Add 'google' with project, "
                    "region, platformProject and breakGlass"
                )
    if settings.google and len(settings.google.escrow_regions) == 1:
        yield (
            "google.escrowRegions: one region is where the rest is, too, or might be lost likewise. Name two or more, "
            "or leave it out"
        )
    if settings.network is not None and not isinstance(settings.cluster, GkeCluster):
        yield "network: is for a cluster that is made here; yours is in one already. Leave 'network' out"


def _cluster_problems(settings: "Settings") -> Iterator[str]:
    cluster = settings.cluster
    if not isinstance(cluster, GkeCluster):
        if isinstance(settings.database, CloudSqlDatabase):
            yield (
                "database: kind 'cloud-sql' gets its private address in the network of a cluster that is made here. "
                "Use cluster kind 'gke', or name an instance that your cluster reaches with database kind 'existing'"
            )
        return
    if cluster.zone and settings.google and not cluster.zone.startswith(f"{settings.google.region}-"):
        yield f"cluster.zone: {cluster.zone} is not in google.region, {settings.google.region}. Choose one that is"
    fixed = {f"nodePools.{name}": pool for name, pool in cluster.node_pools if pool is not None}
    pools = {**fixed, **{f"taskPools.{name}": pool for name, pool in cluster.task_pools.items()}}
    for name, pool in pools.items():
        if pool.min_nodes > pool.max_nodes:
            yield (
                f"cluster.{name}.minNodes: {pool.min_nodes} is more than maxNodes, {pool.max_nodes}. Lower it, or "
                "raise maxNodes"
            )
        if pool.min_nodes == 0 and name in fixed:
            yield f"cluster.{name}.minNodes: 0 leaves nowhere for what always runs. Ask for at least 1"
    for exclusion in cluster.maintenance.exclusions:
        if exclusion.end <= exclusion.start:
            yield f"cluster.maintenance.exclusions.{exclusion.name}: ends before it starts. Correct start or end"
    if not isinstance(settings.network, ExistingNetwork):
        own = own_network(settings)
        nodes = most_nodes(
            [pool.max_nodes for pool in fixed.values()], [pool.max_nodes for pool in cluster.task_pools.values()]
        )
        ranges = Ranges(own.nodes, own.pods, own.services, own.managed)
        yield from address_problems(ranges, nodes, cluster.max_pods_per_node)


def _database_problems(settings: "Settings") -> Iterator[str]:
    database = settings.database
    password = settings.database_administrator_password
    if isinstance(database, CloudSqlDatabase):
        yield from tier_problems(database.tier, database.edition, settings.max_connections)
        if database.disk_limit_gib < database.disk_gib:
            yield (
                f"database.diskLimitGib: {database.disk_limit_gib} is less than diskGib, {database.disk_gib}. Raise it"
            )
        if database.edition == "ENTERPRISE" and database.point_in_time_recovery_days > 7:
            yield (
                f"database.pointInTimeRecoveryDays: the edition ENTERPRISE keeps 7 at most, not "
                f"{database.point_in_time_recovery_days}. Lower it, or choose ENTERPRISE_PLUS"
            )
        for flag in sorted(database.flags.keys() & {"max_connections", "cloudsql.iam_authentication"}):
            yield f"database.flags.{flag}: is set by the platform. Leave it out"
        if database.high_availability and database.point_in_time_recovery_days == 0:
            yield (
                "database.pointInTimeRecoveryDays: 0 can't be combined with highAvailability, which builds on it. Set "
                "at least 1, or highAvailability: false"
            )
    if isinstance(database, ExistingDatabase) and password is None:
        yield (
            "databaseAdministratorPassword: is missing, and database kind 'existing' needs it. Set it with: pulumi "
            "config set --secret airflow-platform:databaseAdministratorPassword"
        )
    if password is not None and not isinstance(database, ExistingDatabase):
        yield "databaseAdministratorPassword: is for database kind 'existing' only; here it is generated. Remove it"


def _airflow_problems(settings: "Settings") -> Iterator[str]:
    pools = settings.cluster.task_pools if isinstance(settings.cluster, GkeCluster | StackCluster) else ()
    for airflow in settings.airflows:
        where = f"airflows.{airflow.name}"
        if airflow.task_pool is not None and airflow.task_pool not in pools:
            known = f"Known are: {', '.join(sorted(pools))}" if pools else "This cluster has none: leave it out"
            yield f"{where}.taskPool: there is no pool '{airflow.task_pool}'. {known}"
        if settings.google is None:
            if airflow.dags.repository is None:
                yield f"{where}.dags.repository: is missing. Say where the image is"
            if isinstance(airflow.task_logs, GcsTaskLogs) and airflow.task_logs.bucket is None:
                yield f"{where}.taskLogs.bucket: is missing. Name one, or add 'google' to have one made"
            if airflow.large_xcoms:
                yield f"{where}.largeXcoms: needs a bucket. Add 'google' to have one made, or set it to false"
            continue
        registry = f"{organisation_of(settings.google).registry}/"
        if airflow.dags.repository is not None and not airflow.dags.repository.startswith(registry):
            yield (
                f"{where}.dags.repository: {airflow.dags.repository} is not in the organisation's registry, and the "
                f"cluster admits no image from elsewhere. Push it to {registry}{IMAGES_REPOSITORY}/, or leave "
                "'repository' out"
            )
        if airflow.dags.digest is None:
            yield (
                f"{where}.dags.digest: is missing. On Google Cloud images are pinned by digest: add 'sha256:…' of the "
                "image that was pushed"
            )
        logs = airflow.task_logs
        if isinstance(logs, VolumeTaskLogs) and logs.access_mode == "ReadWriteOnce" and pools:
            yield (
                f"{where}.taskLogs: a volume that one node can mount ties every task to that node. Choose kind 'gcs', "
                "or accessMode ReadWriteMany with a storageClass that many nodes can write"
            )
