"""What keeps an Airflow well, beside its running parts: contents, keys, clean-up, a pod to look around in."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.access import ServiceAccounts
from components.airflow.configuration import HOME, script
from components.airflow.housekeeping import Cron, hourly, keep_house
from components.airflow.jobs import Jobs
from components.airflow.maintenance import maintenance_pod
from components.airflow.pods import Blueprint
from components.workload import Mount, config_volume, metadata, secret_volume

FILES = ("reconcile.py", "rotate_fernet_key.py", "clean_logs.py")
CONFIG_MAP = "operations"
FOLDER = f"{HOME}/operations"
FILES_MOUNT = Mount(config_volume("operations", CONFIG_MAP), FOLDER)
CONTENTS_SECRET = "contents"  # noqa: S105 (a name)
CONTENTS_FOLDER = "/run/secrets/contents"
CONTENTS_FILE = "contents.json"


def operate(
    blueprint: Blueprint,
    namespace: pulumi.Output[str],
    accounts: ServiceAccounts,
    jobs: Jobs,
    parent: pulumi.Resource,
    migrated: pulumi.Resource,
    running: Sequence[pulumi.Resource],
) -> None:
    """Makes all of it in ``namespace``. ``running`` are the parts that must know a key before anything is encrypted
    with it."""
    name, args = blueprint.name, blueprint.args
    opts = pulumi.ResourceOptions(parent=parent)
    # Not beside airflow.cfg: a changed script would restart every part.
    files = kubernetes.core.v1.ConfigMap(
        f"{name}-operations",
        metadata=metadata(CONFIG_MAP, namespace),
        data={file: script(file) for file in FILES},
        opts=opts,
    )
    document = args.operation.contents
    contents = kubernetes.core.v1.Secret(
        f"{name}-contents",
        metadata=metadata(CONTENTS_SECRET, namespace),
        string_data={CONTENTS_FILE: document},
        opts=opts,
    )
    cron = Cron(blueprint, namespace, accounts, parent, [migrated, files])

    # Always there, also where there is nothing to keep: what was taken out of the stack file has to go.
    command = ["python", f"{FOLDER}/reconcile.py", f"{CONTENTS_FOLDER}/{CONTENTS_FILE}"]
    mounts = [FILES_MOUNT, Mount(secret_volume("contents", CONTENTS_SECRET), CONTENTS_FOLDER)]
    reconciled = jobs.run(
        "reconcile", command, [migrated, files, contents], mounts, contents=[script("reconcile.py"), document]
    )
    schedule = args.operation.housekeeping.reconcile_schedule or hourly(name)
    cron.component("reconcile", command, schedule, mounts, [reconciled])

    # A list of keys is a rotation's: with one key, everything is encrypted with it.
    rotated = args.given.fernet_key is not None or args.rotations.fernet_key_in_use > 0
    if rotated:
        jobs.run(
            "rotate-fernet-key",
            ["python", f"{FOLDER}/rotate_fernet_key.py"],
            [*running, files],
            [FILES_MOUNT],
            contents=[script("rotate_fernet_key.py")],
        )
    keep_house(cron, FILES_MOUNT, FOLDER)
    if args.operation.maintenance:
        maintenance_pod(blueprint, namespace, accounts, parent, [migrated])
