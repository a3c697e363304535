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

from components.airflow.args import AirflowArgs, BakedDags
from components.airflow.git_sync import SECRET, GitSync
from components.workload import Container, Mount, checksum, metadata

BAKED_FOLDER = "/opt/airflow/dags"
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
    bundles: str
    """For airflow.cfg: ``[dag_processor] dag_bundle_config_list``."""
    mounts: tuple[Mount, ...] = ()
    """For every container that reads DAG files."""
    sidecars: tuple[Container, ...] = ()
    """Init containers that go on beside a component that reads DAG files."""
    before_task: tuple[Container, ...] = ()
    """Init containers of a task's pod."""
    checksums: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Of what the sidecars mount."""
    depends_on: tuple[pulumi.Resource, ...] = ()


def dag_parts(name: str, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource) -> DagParts:
    """Makes what the Airflow ``name`` needs in ``namespace`` for its DAGs; says what pods and configuration get."""
    match args.dags:
        case BakedDags():
            return DagParts(
                version=args.image.version,
                shown=f"DAGs {args.image.version}",
                folder=BAKED_FOLDER,
                bundles=_local_bundle(BAKED_FOLDER),
            )
        case GitSync() as git:
            return _git_sync(name, git, args, namespace, parent)


def _git_sync(
    name: str, git: GitSync, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> DagParts:
    login = git.login(args.given.git_token, args.given.git_ssh_key)
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
        bundles=_local_bundle(git.folder, REFRESH_SECONDS),
        mounts=(git.readable,),
        sidecars=(git.sidecar(login),),
        before_task=(git.once(login),),
        checksums=checksums,
        depends_on=tuple(made),
    )


def _local_bundle(folder: str, refresh_seconds: int | None = None) -> str:
    refresh = {} if refresh_seconds is None else {"refresh_interval": refresh_seconds}
    bundle = {
        "name": BUNDLE,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": folder, **refresh},
    }
    return json.dumps([bundle])
