"""Composes one environment, top to bottom: what is on Google Cloud, the way to the cluster, database, Airflows."""

from dataclasses import fields

import pulumi
import pulumi_random as random

from components.airflow import (
    Airflow,
    AirflowArgs,
    BackupVolume,
    DagImage,
    DatabaseServer,
    Executor,
    GcsLogs,
    GivenSecrets,
    Rotations,
    TaskLogStore,
    VolumeLogs,
)
from components.gcp.images import ImageMissingError, require_images
from components.gcp.naming import IMAGES_REPOSITORY, PULL_THROUGH
from components.gcp.node_pools import POOL_LABEL
from components.logs import LogStore
from components.priorities import COMPONENTS as COMPONENTS_PRIORITY
from components.priorities import Priorities
from components.versions import ImageSource
from components.workload import Nodes
from infra.backups import check_backups
from infra.celery import celery_of
from infra.customisation import backfill_lane, customisation, task_nodes, task_shapes
from infra.dag_delivery import dag_source
from infra.dev_stacks import lease, offer, shared_server
from infra.foundations import foundations, in_cluster_database, instance_database
from infra.google_cloud import GoogleCloud, Home
from infra.ingress import lead_by_base, lead_to_airflows, way_in_of
from infra.instances import AdministeredInstance
from infra.logs import logs_of, stored_logs, with_login
from infra.metrics import statsd_of, watch
from infra.network import airflow_network, cluster_network
from infra.operations import operation_args
from infra.previews import preview_access
from infra.quota import quota_args
from infra.settings import (
    AirflowSettings,
    AirflowState,
    ElasticsearchTaskLogs,
    GcsTaskLogs,
    GkeCluster,
    InClusterDatabase,
    ProvidedSecrets,
    Settings,
    StackCluster,
    StackDatabase,
    VolumeTaskLogs,
    organisation_of,
)
from infra.settings.ingress_addresses import address_of, base_url
from infra.settings.sizes import capacity, connection_budgets
from infra.sign_in import sign_in_of
from infra.sizing import sizing_of
from infra.surroundings import Surroundings

DAGS_IMAGE = "dags"


def deploy(settings: Settings, environment: str) -> None:
    """Registers every resource of the ``environment`` that ``settings`` describe, and exports its outputs.

    Raises pulumi.RunError where an image is missing; nothing has been registered then.
    """
    lease(settings)
    images = image_source(settings)
    dag_images = {airflow.name: dag_image(airflow, settings) for airflow in settings.airflows}
    google = GoogleCloud(settings, settings.google, environment) if settings.google else None
    if google:
        try:
            require_images([image.reference for image in dag_images.values()], google.provider)
        except ImageMissingError as error:
            raise pulumi.RunError(str(error)) from None
    cluster, instance = foundations(settings, google)
    opts = pulumi.ResourceOptions(provider=cluster.provider)
    checksum_key = random.RandomPassword("checksum-key", length=32, special=False).result

    network = cluster_network(settings, opts)
    if not cluster.base:
        preview_access(settings, environment, opts)
    given = pulumi.Output.from_input(COMPONENTS_PRIORITY)
    priority = given if cluster.base else Priorities("priorities", opts).components
    escrowed: dict[str, pulumi.Output[str]] = {}
    if isinstance(settings.database, StackDatabase) and cluster.base:
        database = shared_server(settings.database, cluster.base, images)
    elif isinstance(settings.database, InClusterDatabase):
        database = in_cluster_database(settings, settings.database, images, checksum_key, priority, opts)
    elif google and isinstance(instance, AdministeredInstance):
        bootstrap = google.bootstrap_identity(instance, cluster.workload_pool, cluster.ready)
        database = instance_database(settings, instance, bootstrap, images, checksum_key, network, opts)
        escrowed["database-administrator"] = instance.administrator_password
    else:
        raise AssertionError("the settings let no database on Google Cloud pass without 'google'")
    nodes = _component_nodes(settings)
    if isinstance(database, DatabaseServer):
        image = dag_images[settings.airflows[0].name].reference
        check_backups(settings, google, instance, cluster, database, image, checksum_key, nodes, priority, opts)
        offer(settings, environment, database, image, cluster.kubeconfig, network, priority, checksum_key, opts)
    routes = way_in_of(settings, google, cluster, images, checksum_key, network, nodes, priority, opts)
    logs = logs_of(settings, google, cluster, images, checksum_key, network, nodes, priority, routes, opts)
    connections = connection_budgets(settings)
    airflows: dict[str, Airflow] = {}
    for asked in settings.airflows:
        secrets = settings.secrets.get(asked.name, ProvidedSecrets())
        home = google.home(asked, instance, cluster.workload_pool, cluster.ready) if google else None
        airflow = Airflow(
            asked.name,
            AirflowArgs(
                executors=tuple(Executor(one) for one in asked.executor),
                image=dag_images[asked.name],
                dags=dag_source(asked, images, home.dag_bucket if home else None),
                database=database,
                task_logs=_log_store(asked, home, settings, logs.store),
                checksum_key=checksum_key,
                environment=environment,
                base_url=base_url(asked, settings),
                admin_user=asked.admin_user,
                admin_email=asked.admin_email,
                sign_in=sign_in_of(asked, secrets),
                parallelism=capacity(asked).parallelism,
                connection_limit=connections[asked.name],
                sizing=sizing_of(asked, images),
                identity=home.identity if home else None,
                nodes=_component_nodes(settings),
                priority=priority,
                task_nodes=_task_nodes(settings, asked.task_pool),
                celery=celery_of(
                    asked,
                    settings,
                    images,
                    dag_images[asked.name],
                    lambda pool, asked=asked: _task_nodes(settings, pool or asked.task_pool),
                ),
                pod_operator=asked.kubernetes_pod_operator,
                xcom_bucket=home.bucket if home and asked.large_xcoms else None,
                quota=quota_args(asked),
                network=airflow_network(asked, network),
                metrics=statsd_of(settings, images),
                operation=operation_args(asked, settings, environment),
                rotations=Rotations(**asked.rotations.model_dump()),
                shapes=task_shapes(asked),
                backfill=backfill_lane(asked),
                customisation=customisation(asked, secrets),
                given=with_login(_given(secrets), asked, logs.store),
                protect=not settings.ephemeral,
                retired=asked.state is AirflowState.RETIRED,
                export_bucket=home.bucket if home else None,
                backup_volume=_backup_volume(settings),
            ),
            opts,
        )
        airflows[asked.name] = airflow
        escrowed[_fernet_key(asked)] = airflow.fernet_key
    lead_to_airflows(routes, settings, airflows)
    watch(
        settings,
        environment,
        airflows,
        Surroundings(google, database, routes, logs, network, nodes, priority),
        images,
        checksum_key,
        opts,
    )
    if cluster.base:
        lead_by_base(settings, airflows, opts)
    if google:
        google.escrow(escrowed, [_fernet_key(one) for one in settings.airflows if one.state is AirflowState.RETIRED])
    pulumi.export(
        "airflows",
        {
            asked.name: {
                "namespace": airflows[asked.name].namespace,
                "url": airflows[asked.name].url,
                "address": found.url if (found := address_of(asked, settings)) else None,
                "adminUser": airflows[asked.name].admin_user,
                "adminSecret": airflows[asked.name].admin_secret,
                "dagsVersion": airflows[asked.name].version,
                "state": str(asked.state),
            }
            for asked in settings.airflows
        },
    )


def image_source(settings: Settings) -> ImageSource:
    """Where the platform's own images come from: on Google Cloud through the organisation's registry."""
    return ImageSource(
        mirror=settings.images.registry,
        pull_through=organisation_of(settings.google).registry if settings.google else None,
        repositories=PULL_THROUGH,
        overrides=settings.images.overrides,
    )


def dag_image(airflow: AirflowSettings, settings: Settings) -> DagImage:
    """The image that ``airflow`` runs; without a repository in the settings, the organisation's."""
    repository = airflow.dags.repository
    if repository is None:
        assert settings.google is not None  # the settings see to it
        repository = f"{organisation_of(settings.google).registry}/{IMAGES_REPOSITORY}/{DAGS_IMAGE}"
    return DagImage(repository, airflow.dags.version, airflow.dags.digest)


def _fernet_key(airflow: AirflowSettings) -> str:
    return f"fernet-key-{airflow.name}"


def _component_nodes(settings: Settings) -> Nodes | None:
    return Nodes({POOL_LABEL: "airflow"}) if _task_pools(settings) else None


def _task_nodes(settings: Settings, asked: str | None) -> Nodes | None:
    pools = _task_pools(settings)
    return task_nodes(asked or pools[0]) if pools else None


def _task_pools(settings: Settings) -> list[str]:
    """The pools of nodes for tasks, where the cluster is one that the platform has made."""
    return list(settings.cluster.task_pools) if isinstance(settings.cluster, GkeCluster | StackCluster) else []


def _log_store(airflow: AirflowSettings, home: Home | None, settings: Settings, store: LogStore | None) -> TaskLogStore:
    match airflow.task_logs:
        case VolumeTaskLogs() as logs:
            return VolumeLogs(logs.size, logs.storage_class, logs.access_mode)
        case GcsTaskLogs() as logs:
            if logs.bucket is not None:
                return GcsLogs(logs.bucket, logs.prefix)
            assert home is not None  # the settings see to it
            return GcsLogs(home.bucket, logs.prefix)
        case ElasticsearchTaskLogs() as logs:
            return stored_logs(logs, airflow, settings, store)


def _backup_volume(settings: Settings) -> BackupVolume | None:
    """For dumps from before a migration, as large as the database may become. None on Google Cloud: into a bucket."""
    match settings.database:
        case InClusterDatabase() as database:
            return BackupVolume(database.size, database.storage_class)
        case StackDatabase():  # a dev stack's is small, and has no bucket
            return BackupVolume("1Gi")
        case _:
            return None


def _given(secrets: ProvidedSecrets) -> GivenSecrets:
    given = {
        name: pulumi.Output.secret(value.get_secret_value())
        for name, value in ((field.name, getattr(secrets, field.name)) for field in fields(GivenSecrets))
        if value is not None
    }
    return GivenSecrets(**given)
