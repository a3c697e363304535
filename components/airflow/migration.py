"""The migration of an Airflow's schema, before anything of a new version runs.

A Job compares the schema with the image's. The same: it ends, and the parts roll. Another one: it stops the parts that
Airflow does not support on a schema that is not theirs, takes a dump, and migrates (files/migrate.py, which also says
what a failure leaves). Their next roll, which depends on the Job, starts them again.
"""

from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import VolumeArgsDict

from components.airflow.args import BackupVolume
from components.airflow.configuration import HOME, script
from components.airflow.jobs import Jobs, job_pod
from components.airflow.pods import Blueprint
from components.airflow.secrets import DATABASE_SECRET, PASSWORD_KEY, database_of, role_of
from components.postgresql import PASSWORD, client_env
from components.workload import Container, Mount, claim_spec, config_volume, metadata, scratch, secret_env

PARTS: Final = ("scheduler", "dag-processor", "triggerer")
"""What is stopped while the schema changes. The api-server stays: running tasks talk to it, and repeat what fails."""
SCRIPT: Final = "migrate.py"
SCRIPT_FOLDER: Final = f"{HOME}/migration"
BACKUPS: Final = "backups"
FOLDER: Final = "/backups"
PREFIX: Final = "backups"
REFUSED: Final = 64
"""The exit code of files/migrate.py after which there is no second try."""
STOP_SECONDS: Final = 120
# The request is a file with the dump's name. It must end at once when the pod does: until then the Job goes on.
# PostgreSQL's image wants its containers interrupted (STOPSIGNAL).
_DUMP: Final = f"""
trap 'exit 0' TERM INT
while true; do
  until [ -e {FOLDER}/wanted ] && [ ! -e {FOLDER}/ended ]; do sleep 1 & wait $!; done
  pg_dump --format=custom --file="{FOLDER}/$(cat {FOLDER}/wanted)" 2> {FOLDER}/said
  echo $? > {FOLDER}/ended.new && mv {FOLDER}/ended.new {FOLDER}/ended
done
"""


def migrate_schema(
    blueprint: Blueprint,
    jobs: Jobs,
    account: pulumi.Output[str],
    grace_seconds: int,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.batch.v1.Job:
    """Makes the Job, what it may do, and where its dump goes.

    Its ``account`` may scale the three parts and list pods, nothing else. ``grace_seconds``: the longest that a part
    takes to end.
    """
    name, args, parent, namespace = blueprint.name, blueprint.args, jobs.parent, jobs.namespace
    opts = pulumi.ResourceOptions(parent=parent)
    role = kubernetes.rbac.v1.Role(
        f"{name}-migrate",
        metadata=metadata("migrate", namespace),
        rules=[
            {
                "api_groups": ["apps"],
                "resources": ["deployments/scale"],
                "resource_names": list(PARTS),
                "verbs": ["get", "patch"],
            },
            {"api_groups": [""], "resources": ["pods"], "verbs": ["list"]},
        ],
        opts=opts,
    )
    binding = kubernetes.rbac.v1.RoleBinding(
        f"{name}-migrate-binding",
        metadata=metadata("migrate", namespace),
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
        subjects=[{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        opts=opts,
    )
    # Not beside airflow.cfg: a changed script would restart every part.
    files = kubernetes.core.v1.ConfigMap(
        f"{name}-migration",
        metadata=metadata("migration", namespace),
        data={SCRIPT: script(SCRIPT)},
        opts=opts,
    )
    space, made = _space(name, jobs, None if args.export_bucket else args.backup_volume)
    prefix = f"{PREFIX}/{database_of(name)}"
    where = {"BACKUP_BUCKET": args.export_bucket, "BACKUP_PREFIX": prefix, "BACKUP_CLAIM": BACKUPS}
    dump = Container(
        name="dump",
        image=args.database.client_image,
        command=["bash", "-c", _DUMP],
        resources=args.sizing.job,
        env=client_env(
            args.database.host,
            args.database.port,
            role_of(name),
            database_of(name),
            secret_env(PASSWORD, DATABASE_SECRET, PASSWORD_KEY),
        ),
        mounts=[space, scratch("dump-tmp", "/tmp")],
        restart_policy="Always",
    )
    command = ["python", f"{SCRIPT_FOLDER}/{SCRIPT}", FOLDER, f"airflow-{name}", *PARTS]
    pod = job_pod(
        blueprint,
        "migrate",
        command,
        account,
        [space, Mount(config_volume("migration-script", files.metadata.name), SCRIPT_FOLDER)],
        api_access=True,
        before=[dump],
        env=[
            {"name": "STOP_SECONDS", "value": str(STOP_SECONDS + grace_seconds)},
            {"name": "BACKUP_NAME", "value": database_of(name)},
            *({"name": key, "value": value} for key, value in where.items() if value),
        ],
    )
    return jobs.make(
        "migrate",
        pod,
        [*depends_on, binding, files, *made],
        contents=[*command, script(SCRIPT), args.export_bucket or ""],
        final_codes=[REFUSED],
    )


def _space(name: str, jobs: Jobs, volume: BackupVolume | None) -> tuple[Mount, list[pulumi.Resource]]:
    """Where a dump is written: a volume that stays, or the pod's own disk on its way to a bucket."""
    if volume is None:
        return scratch(BACKUPS, FOLDER), []
    claim = kubernetes.core.v1.PersistentVolumeClaim(
        f"{name}-backups",
        metadata=metadata(BACKUPS, jobs.namespace),
        spec=claim_spec(volume.size, "ReadWriteOnce", volume.storage_class),
        opts=pulumi.ResourceOptions(parent=jobs.parent, protect=jobs.blueprint.args.protected),
    )
    source: VolumeArgsDict = {"name": BACKUPS, "persistent_volume_claim": {"claim_name": BACKUPS}}
    return Mount(source, FOLDER, read_only=False), [claim]
