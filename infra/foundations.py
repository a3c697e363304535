"""What an environment stands on: the way to its cluster, and the server of its databases."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow import DatabaseServer
from components.auth_proxy import HOST, PORT, AuthProxy
from components.database_administration import DatabaseAdministration, DatabaseAdministrationArgs
from components.gcp.naming import workload_pool
from components.network import ClusterNetwork
from components.postgresql import ADMINISTRATOR, Postgresql, PostgresqlArgs
from components.versions import ImageSource
from infra.dev_stacks import Base, base_of
from infra.google_cloud import GoogleCloud
from infra.instances import AdministeredInstance, Instance, instance_named
from infra.network import IN_CLUSTER_DATABASE
from infra.settings import (
    CloudSqlDatabase,
    ExistingDatabase,
    GkeCluster,
    InClusterDatabase,
    KubeconfigCluster,
    Settings,
    StackCluster,
    StackDatabase,
)


@dataclass(frozen=True)
class Kubernetes:
    """The cluster of an environment, whoever made it."""

    provider: kubernetes.Provider
    kubeconfig: pulumi.Output[str] | None = None
    """Of a cluster that is made here."""
    workload_pool: str = ""
    ready: tuple[pulumi.Resource, ...] = ()
    """What must be there before its service accounts can act as Google's."""
    base: Base | None = None
    """The stack that the cluster is another one's of."""


def foundations(settings: Settings, google: GoogleCloud | None) -> tuple[Kubernetes, Instance | None]:
    """The cluster, and the Cloud SQL instance if there is one."""
    instance = None
    if google and isinstance(settings.cluster, GkeCluster):
        placement = google.network()
        made = google.cluster(settings.cluster, placement)
        provider = _provider(
            settings,
            kubernetes.ProviderArgs(kubeconfig=made.kubeconfig, cluster_identifier=made.identifier),
            made.ready,
        )
        cluster = Kubernetes(provider, made.kubeconfig, made.workload_pool, made.ready)
        if isinstance(settings.database, CloudSqlDatabase):
            instance = google.database(settings.database, placement)
    elif isinstance(settings.cluster, KubeconfigCluster):
        given = settings.cluster
        provider = _provider(
            settings,
            kubernetes.ProviderArgs(
                kubeconfig=given.path,
                context=given.context,
                # Stable, so that another kubeconfig for the same cluster does not replace everything in it.
                cluster_identifier=given.context,
            ),
        )
        cluster = Kubernetes(provider, workload_pool=_workload_pool(google))
    elif isinstance(settings.cluster, StackCluster):
        base = base_of(settings.cluster.stack)
        provider = _provider(
            settings,
            kubernetes.ProviderArgs(
                kubeconfig=base["kubeconfig"],
                context=base["context"],
                cluster_identifier=settings.cluster.stack,
            ),
        )
        cluster = Kubernetes(provider, workload_pool=_workload_pool(google), base=base)
    else:
        raise AssertionError("the settings let no cluster on Google Cloud pass without 'google'")
    if google and isinstance(settings.database, ExistingDatabase):
        instance = google.existing_database(settings.database)
    if isinstance(settings.database, StackDatabase) and settings.database.connection_name:
        instance = instance_named(settings.database.connection_name)
    return cluster, instance


def _workload_pool(google: GoogleCloud | None) -> str:
    return workload_pool(google.google.project) if google else ""


def _provider(
    settings: Settings, args: kubernetes.ProviderArgs, depends_on: tuple[pulumi.Resource, ...] = ()
) -> kubernetes.Provider:
    # By default the provider replaces ConfigMaps and Secrets on any change: pods would lose what they mount.
    args.enable_config_map_mutable = True
    args.enable_secret_mutable = True
    # An engine that was killed may have made objects that its state does not know. Where the environment may be
    # thrown away, they are taken over, fields and all; elsewhere a person decides whose they are.
    args.upsert_existing_objects = settings.ephemeral
    args.enable_patch_force = settings.ephemeral
    return kubernetes.Provider("cluster", args, pulumi.ResourceOptions(depends_on=list(depends_on)))


def in_cluster_database(
    settings: Settings,
    asked: InClusterDatabase,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    priority: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> DatabaseServer:
    """A PostgreSQL in the cluster itself."""
    image = images.reference("postgres")
    postgresql = Postgresql(
        IN_CLUSTER_DATABASE,
        PostgresqlArgs(
            image=image,
            checksum_key=checksum_key,
            size=asked.size,
            storage_class=asked.storage_class,
            max_connections=asked.max_connections,
            password_rotation=asked.administrator_password_rotation,
            priority=priority,
            network_policies=settings.network_policies.enabled,
            protect=not settings.ephemeral,
        ),
        opts,
    )
    return DatabaseServer(
        host=postgresql.host,
        port=postgresql.port,
        namespace=postgresql.namespace,
        administrator=ADMINISTRATOR,
        administrator_secret=postgresql.administrator_secret,
        administrator_checksum=postgresql.administrator_checksum,
        client_image=image,
    )


def instance_database(
    settings: Settings,
    instance: AdministeredInstance,
    bootstrap_identity: pulumi.Output[str],
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    network: ClusterNetwork | None,
    opts: pulumi.ResourceOptions,
) -> DatabaseServer:
    """A Cloud SQL ``instance``, and the namespace that holds its administrator's password."""
    administration = DatabaseAdministration(
        "database",
        DatabaseAdministrationArgs(
            instance.administrator_password, checksum_key, network, protect=not settings.ephemeral
        ),
        opts,
    )
    return DatabaseServer(
        host=HOST,
        port=PORT,
        namespace=administration.namespace,
        administrator=instance.administrator,
        administrator_secret=administration.administrator_secret,
        administrator_checksum=administration.administrator_checksum,
        client_image=images.reference("postgres"),
        proxy=AuthProxy(images.reference("cloud-sql-proxy"), instance.connection_name),
        bootstrap_identity=bootstrap_identity,
        owns_access=settings.database.owns_access if isinstance(settings.database, ExistingDatabase) else True,
    )
