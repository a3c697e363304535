"""The part of an environment that is on Google Cloud: network, cluster, database, identities, buckets, escrow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.airflow import COMPONENT_ACCOUNTS, TASK_ACCOUNT, Identity, bootstrap_account
from components.database_administration import NAMESPACE as DATABASE_NAMESPACE
from components.desk import DESK_ACCOUNT
from components.gcp.address import AddressArgs, IngressAddress
from components.gcp.airflow_secrets import allow_secrets, secrets_prefix
from components.gcp.cluster import BackupArgs, Cluster, ClusterArgs, Exclusion, MaintenanceArgs, logs_pool
from components.gcp.dag_bucket import DagBucket, DagBucketArgs
from components.gcp.database import CloudSql, CloudSqlArgs
from components.gcp.escrow import Escrow, EscrowArgs
from components.gcp.identities import WorkloadIdentity, WorkloadIdentityArgs, allow_database
from components.gcp.naming import cluster_key
from components.gcp.network import Network, NetworkArgs, Placement
from components.gcp.node_pools import PoolArgs, TaskPoolArgs
from components.gcp.storage import AirflowBucket, AirflowBucketArgs
from infra.instances import AdministeredInstance, Instance, instance_named
from infra.settings import (
    AirflowSettings,
    AirflowState,
    CloudSqlDatabase,
    ExistingDatabase,
    ExistingNetwork,
    GkeCluster,
    Google,
    NodePool,
    Settings,
    organisation_of,
    own_network,
)
from infra.settings.dags import ArtifactDags
from infra.settings.ingress import SecretManagerTls


@dataclass(frozen=True)
class Home:
    """What one Airflow has on Google Cloud: who it is, and the bucket that is its own."""

    identity: Identity
    """Known when it may use the bucket and the database."""
    bucket: str
    dag_bucket: str | None = None
    """The one for its DAGs, if they come from a bucket that is made here."""


class GoogleCloud:
    """Makes the parts of ``environment``, in the order that they need one another. Each method is called once."""

    def __init__(self, settings: Settings, google: Google, environment: str) -> None:
        self.settings = settings
        self.google = google
        self.environment = environment
        self.protect = not settings.ephemeral
        self.labels = {"airflow-environment": environment, **google.labels}
        self.organisation = organisation_of(google)
        self.provider = gcp.Provider("google", project=google.project, region=google.region, default_labels=self.labels)
        self._opts = pulumi.ResourceOptions(provider=self.provider)
        self._subnetwork: pulumi.Input[str] | None = None

    def network(self) -> Placement:
        """The network that the settings name, or one of the environment's own."""
        placement = self._placement()
        self._subnetwork = placement.subnetwork
        return placement

    def _placement(self) -> Placement:
        given = self.settings.network
        if isinstance(given, ExistingNetwork):
            host = given.host_project or self.google.project
            return Placement(
                network=f"projects/{host}/global/networks/{given.network}",
                subnetwork=f"projects/{host}/regions/{self.google.region}/subnetworks/{given.subnetwork}",
                pods_range=given.pods_range,
                services_range=given.services_range,
            )
        own = own_network(self.settings)
        network = Network(
            "network",
            NetworkArgs(
                environment=self.environment,
                region=self.google.region,
                nodes=own.nodes,
                pods=own.pods,
                services=own.services,
                managed=own.managed,
                nat_addresses=own.nat_addresses,
                flow_logs=own.flow_logs,
                protect=self.protect,
            ),
            self._opts,
        )
        pulumi.export("natAddresses", network.nat_addresses)
        return network.placement

    def cluster(self, asked: GkeCluster, placement: Placement) -> Cluster:
        """The GKE cluster."""
        window = asked.maintenance
        pools = asked.node_pools
        cluster = Cluster(
            "gke",
            ClusterArgs(
                environment=self.environment,
                project=self.google.project,
                location=asked.zone or self.google.region,
                placement=placement,
                key=self.organisation.key(cluster_key(self.google.project)),
                system_pool=_pool(pools.system),
                airflow_pool=_pool(pools.airflow),
                logs_pool=logs_pool(_pool(pools.logs)) if pools.logs else None,
                task_pools={
                    name: TaskPoolArgs(
                        pool.machine_type,
                        pool.min_nodes,
                        pool.max_nodes,
                        pool.disk_gib,
                        pool.spot,
                        upgrade_wait_hours=pool.upgrade_wait_hours,
                    )
                    for name, pool in asked.task_pools.items()
                },
                release_channel=asked.release_channel,
                maintenance=MaintenanceArgs(
                    window.days,
                    window.start,
                    window.hours,
                    tuple(Exclusion(one.name, one.start, one.end, one.scope) for one in window.exclusions),
                ),
                max_pods_per_node=asked.max_pods_per_node,
                managed_prometheus=asked.managed_prometheus,
                secret_sync=isinstance(self.settings.ingress and self.settings.ingress.tls, SecretManagerTls),
                backup=BackupArgs(asked.backup.schedule, asked.backup.retain_days) if asked.backup else None,
                administrators=asked.administrators,
                labels=self.labels,
                protect=self.protect,
            ),
            self._opts,
        )
        pulumi.export("kubeconfig", cluster.kubeconfig)
        return cluster

    def database(self, asked: CloudSqlDatabase, placement: Placement) -> AdministeredInstance:
        """A Cloud SQL instance of the environment's own."""
        made = CloudSql(
            "cloud-sql",
            CloudSqlArgs(
                environment=self.environment,
                region=self.google.region,
                placement=placement,
                version=asked.version,
                edition=asked.edition,
                tier=asked.tier,
                max_connections=self.settings.max_connections,
                high_availability=asked.high_availability,
                point_in_time_recovery_days=asked.point_in_time_recovery_days,
                backups_kept=asked.backups_kept,
                disk_gib=asked.disk_gib,
                disk_limit_gib=asked.disk_limit_gib,
                flags=asked.flags,
                maintenance_day=asked.maintenance.day,
                maintenance_hour=asked.maintenance.hour,
                password_rotation=asked.administrator_password_rotation,
                labels=self.labels,
                protect=self.protect,
            ),
            self._opts,
        )
        pulumi.export("databaseConnectionName", made.connection_name)
        return AdministeredInstance(
            self.google.project, made.instance, made.connection_name, made.administrator, made.administrator_password
        )

    def existing_database(self, given: ExistingDatabase) -> AdministeredInstance:
        """The instance that the settings name."""
        password = self.settings.database_administrator_password
        secret = pulumi.Output.secret(password.get_secret_value() if password else "")
        at = instance_named(given.connection_name)
        return AdministeredInstance(at.project, at.name, at.connection_name, given.administrator, secret)

    def bootstrap_identity(
        self, instance: Instance, workload_pool: str, ready: tuple[pulumi.Resource, ...]
    ) -> pulumi.Output[str]:
        """Who the Jobs are that make the Airflows' databases: may connect to ``instance``, and nothing else."""
        identity = WorkloadIdentity(
            "database-bootstrap",
            WorkloadIdentityArgs(
                id_parts=(self.environment, "database"),
                display_name=f"Database bootstrap of {self.environment}",
                workload_pool=workload_pool,
                namespace=DATABASE_NAMESPACE,
                accounts=(
                    *(bootstrap_account(airflow.name) for airflow in self.settings.airflows),
                    *([DESK_ACCOUNT] if self.settings.dev_stacks else []),
                ),
                depends_on=ready,
            ),
            self._opts,
        )
        allowed = self._allow("database-bootstrap-database", instance, identity)
        return known_after(identity.email, allowed)

    def home(
        self,
        airflow: AirflowSettings,
        instance: Instance | None,
        workload_pool: str,
        ready: tuple[pulumi.Resource, ...],
    ) -> Home:
        """The identities and the bucket of one Airflow."""
        namespace = f"airflow-{airflow.name}"
        components = self._identity(airflow.name, "airflow", namespace, COMPONENT_ACCOUNTS, workload_pool, ready)
        tasks = self._identity(airflow.name, "tasks", namespace, (TASK_ACCOUNT,), workload_pool, ready)
        bucket = AirflowBucket(
            airflow.name,
            AirflowBucketArgs(
                project=self.google.project,
                environment=self.environment,
                location=self.google.region,
                members={"airflow": components.member, "tasks": tasks.member},
                kept_days=airflow.logs_kept_days,
                labels=self.labels,
                protect=self.protect,
                leaving=airflow.state is AirflowState.RETIRED,
            ),
            self._opts,
        )
        dags = self._dag_bucket(airflow, {"airflow": components.member, "tasks": tasks.member})
        grants = [*bucket.grants, *(dags.grants if dags else ())]
        allowed = [self._allow(f"{airflow.name}-airflow-database", instance, components)] if instance else []
        if airflow.secrets_backend:
            prefix = secrets_prefix(self.environment, airflow.name)
            opts = pulumi.ResourceOptions(parent=components)
            allowed.append(
                allow_secrets(f"{airflow.name}-airflow-secrets", self.google.project, prefix, components.member, opts)
            )
        return Home(
            Identity(known_after(components.email, *grants, *allowed), known_after(tasks.email, *grants)),
            bucket.bucket,
            dags.bucket if dags else None,
        )

    def _dag_bucket(self, airflow: AirflowSettings, readers: Mapping[str, pulumi.Output[str]]) -> DagBucket | None:
        dags = airflow.dags
        if not isinstance(dags, ArtifactDags) or dags.bucket is not None:
            return None
        return DagBucket(
            f"{airflow.name}-dags",
            DagBucketArgs(
                project=self.google.project,
                environment=self.environment,
                airflow=airflow.name,
                location=self.google.region,
                readers=readers,
                publishers=dags.publishers,
                labels=self.labels,
                protect=self.protect,
            ),
            self._opts,
        )

    def address(self) -> pulumi.Output[str] | None:
        """The address for people, if the settings ask for one that can be reserved.

        An internal one is the VPC's, so it needs a network that the environment knows of.
        """
        ingress = self.settings.ingress
        if ingress is None or ingress.exposure == "node-port":
            return None
        internal = ingress.exposure == "internal"
        if internal and self._subnetwork is None:
            return None
        made = IngressAddress(
            "ingress",
            AddressArgs(
                environment=self.environment,
                region=self.google.region,
                domain=ingress.domain,
                subnetwork=self._subnetwork if internal else None,
                zone=ingress.dns.zone if ingress.dns else None,
                zone_project=ingress.dns.project if ingress.dns else None,
                protect=self.protect,
            ),
            self._opts,
        )
        pulumi.export("ingressAddress", made.address)
        return made.address

    def escrow(self, secrets: Mapping[str, pulumi.Output[str]], released: Collection[str]) -> None:
        """Keeps ``secrets`` for the day when all else is lost; the ``released`` ones are no longer protected."""
        Escrow(
            "escrow",
            EscrowArgs(
                environment=self.environment,
                break_glass=self.google.break_glass,
                secrets=secrets,
                regions=self.google.escrow_regions,
                labels=self.labels,
                protect=self.protect,
                released=released,
            ),
            self._opts,
        )

    def _identity(
        self,
        airflow: str,
        part: str,
        namespace: str,
        accounts: tuple[str, ...],
        workload_pool: str,
        ready: tuple[pulumi.Resource, ...],
    ) -> WorkloadIdentity:
        return WorkloadIdentity(
            f"{airflow}-{part}",
            WorkloadIdentityArgs(
                id_parts=(self.environment, airflow, part),
                display_name=f"Airflow {airflow} of {self.environment}: {part}",
                workload_pool=workload_pool,
                namespace=namespace,
                accounts=accounts,
                depends_on=ready,
            ),
            self._opts,
        )

    def _allow(self, name: str, instance: Instance, identity: WorkloadIdentity) -> gcp.projects.IAMMember:
        return allow_database(
            name, instance.project, instance.name, identity.member, pulumi.ResourceOptions(parent=identity)
        )


def _pool(asked: NodePool) -> PoolArgs:
    return PoolArgs(asked.machine_type, asked.min_nodes, asked.max_nodes, asked.disk_gib, asked.spot)


def known_after(value: pulumi.Output[str], *resources: pulumi.CustomResource) -> pulumi.Output[str]:
    """``value``, for whoever must wait for ``resources``."""
    return pulumi.Output.all(value, *(resource.id for resource in resources)).apply(lambda known: str(known[0]))
