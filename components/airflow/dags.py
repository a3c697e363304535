"""How DAG files come to what reads them: a delivery is data that the configuration and the pods are made from.

In Airflow 3 the dag-processor reads them, and whatever runs tasks: the tasks' pods, and the scheduler's pod with the
LocalExecutor. Scheduler and api-server work on what the dag-processor has written to the database. So does the
triggerer, which imports the triggers' classes from installed packages and from the plugins folder, never from a bundle
(airflow/jobs/triggerer_job_runner.py of 3.3.2).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.airflow.args import AirflowArgs, BakedDags
from components.airflow.dag_bundles import (
    ARTIFACT_CLASS,
    CONNECTION_VARIABLE,
    GIT_CLASS,
    STORAGE,
    ArtifactStore,
    GitBundle,
)
from components.airflow.git_sync import SECRET, GitSync
from components.workload import Container, Mount, checksum, metadata, secret_env

BAKED_FOLDER = "/opt/airflow/dags"
IMAGE_CLASS = "airflow_platform_bundles.image.ImageDagBundle"
"""In the image: dags-image/airflow_platform_bundles."""
LOCAL_CLASS = "airflow.dag_processing.bundles.local.LocalDagBundle"
CONNECTION_SECRET = "git-connection"  # noqa: S105 (a name)
BUNDLE = "dags"
"""The same in every delivery: a run that began under another one goes on, its tasks ask for the bundle by this name."""
REFRESH_SECONDS = 5
"""How often the dag-processor looks for files that are new. Airflow looks no oftener than this anyway
(``[dag_processor] bundle_refresh_check_interval``), by default every five minutes."""


@dataclass(frozen=True)
class DagParts:
    """What a delivery of DAGs adds to an Airflow."""

    version: str
    """What the DAGs are: a version, or where it is looked up."""
    shown: str
    """The same for people, in the UI."""
    folder: str
    """Where readers find the files."""
    options: Mapping[str, str]
    """For airflow.cfg: ``[dag_processor]``."""
    plugins: str | None = None
    """Where everything finds the plugins; None: in the image."""
    files: Mapping[str, str] = field(default_factory=dict)
    """More files beside airflow.cfg."""
    mounts: tuple[Mount, ...] = ()
    """For every container that reads DAG files."""
    sidecars: tuple[Container, ...] = ()
    """Init containers that go on beside a component that reads DAG files."""
    before_task: tuple[Container, ...] = ()
    """Init containers of a task's pod."""
    checksums: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Of what the sidecars mount."""
    component_env: tuple[EnvVarArgsDict, ...] = ()
    """For every component and no task; ``component_checksums``: of what it refers to."""
    component_checksums: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    depends_on: tuple[pulumi.Resource, ...] = ()

    @property
    def everywhere(self) -> bool:
        """Whether every component has a copy, not only those that read DAG files: all of them load plugins."""
        return self.plugins is not None


def dag_parts(
    name: str, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource, files_folder: str
) -> DagParts:
    """Makes what the Airflow ``name`` needs in ``namespace`` for its DAGs; says what pods and configuration get.

    ``files_folder`` is where pods see what is beside airflow.cfg.
    """
    match args.dags:
        case BakedDags():
            return DagParts(
                version=args.image.version,
                shown=f"DAGs {args.image.version}",
                folder=BAKED_FOLDER,
                # Versions are recorded for people to see; a run tied to one could not have it back.
                options={**_bundle(IMAGE_CLASS, {"path": BAKED_FOLDER}), "disable_bundle_versioning": "True"},
            )
        case GitSync() as git:
            return _git_sync(name, git, args, namespace, parent)
        case GitBundle() as git:
            return _git_bundle(name, git, args, namespace, parent, files_folder)
        case ArtifactStore() as store:
            return DagParts(
                version=f"gs://{store.bucket}/{store.prefix}",
                shown=f"DAGs of {store.bucket}/{store.prefix}, image {args.image.version}",
                folder=BAKED_FOLDER,
                options={**_bundle(ARTIFACT_CLASS, store.kwargs), "dag_bundle_storage_path": STORAGE},
                mounts=(store.storage,),
            )


def _git_sync(
    name: str, git: GitSync, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> DagParts:
    login = git.login(args.given.git_token, args.given.git_ssh_key, args.given.github_app_key)
    checksums: dict[str, pulumi.Input[str]] = {}
    made: list[pulumi.Resource] = []
    if login:
        secret = kubernetes.core.v1.Secret(
            f"{name}-git",
            metadata=metadata(SECRET, namespace),
            string_data=login.files,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        # git-sync reads its password once, when it starts.
        checksums["git"] = checksum(args.checksum_key, *login.files.values())
        made.append(secret)
    return DagParts(
        version=git.ref,
        shown=f"DAGs {git.ref}, image {args.image.version}",
        folder=git.folder,
        options=_bundle(LOCAL_CLASS, {"path": git.folder, "refresh_interval": REFRESH_SECONDS}),
        plugins=git.plugins_folder,
        mounts=(git.readable,),
        sidecars=(git.sidecar(login),),
        before_task=(git.once(login),),
        checksums=checksums,
        depends_on=tuple(made),
    )


def _git_bundle(
    name: str,
    git: GitBundle,
    args: AirflowArgs,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
    files_folder: str,
) -> DagParts:
    connection = git.connection(files_folder, args.given.git_token, args.given.git_ssh_key)
    secret = kubernetes.core.v1.Secret(
        f"{name}-git-connection",
        metadata=metadata(CONNECTION_SECRET, namespace),
        string_data={"connection": connection},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return DagParts(
        version=git.ref,
        shown=f"DAGs {git.ref}, image {args.image.version}",
        folder=BAKED_FOLDER,
        options={**_bundle(GIT_CLASS, git.kwargs), "dag_bundle_storage_path": STORAGE},
        files=git.files,
        mounts=(git.storage,),
        # Tasks ask the api-server for the connection, with their own token, before they clone.
        component_env=(secret_env(CONNECTION_VARIABLE, CONNECTION_SECRET, "connection"),),
        component_checksums={"git-connection": checksum(args.checksum_key, connection)},
        depends_on=(secret,),
    )


def _bundle(classpath: str, kwargs: Mapping[str, object]) -> dict[str, str]:
    return {"dag_bundle_config_list": json.dumps([{"name": BUNDLE, "classpath": classpath, "kwargs": dict(kwargs)}])}
