"""`make fetch-backup`: a dump from before a migration, from the volume that it was put on, as a local file."""

import secrets
from pathlib import PurePosixPath
from typing import Any

from ops.cluster_work import ClusterWork, template_again
from ops.dump import MEBI, writable, written_whole
from ops.target import Target
from testbed.progress import Failure, Progress

COMPONENT = "backup-reader"
FOLDER = "/backups"
LIFETIME_SECONDS = 3600
Tree = dict[str, Any]


def fetch_backup(chosen: Target, airflow: str, backup: str, file: str, progress: Progress) -> None:
    """Copy ``backup``, as the migration named it, to ``file``. Refuses one that is not there, and names what is.

    Where dumps go into a bucket, there is no such volume: `gcloud storage cp` fetches them.
    """
    name = chosen.airflow_named(airflow)
    path = writable(file)
    work = ClusterWork(chosen, progress)
    job = work.job(name, "migrate")
    if job is None or not _claimed(job):
        raise Failure(
            f"Airflow {name} of stack {chosen.name} has no volume of backups in the cluster.\n"
            "Mend: with a bucket, the migration's message names the object: gcloud storage cp gs://… ."
        )
    pod = _reader(job)
    namespace, pod_name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    with work.pod(pod):
        listed = bytearray()
        work.run(namespace, pod_name, ["ls", FOLDER], receive=listed.extend)
        found = sorted(one for one in listed.decode().split() if one.endswith(".dump"))
        if backup not in found:
            raise Failure(
                f"BACKUP: there is no '{backup}' on the volume of Airflow {name}.\n"
                f"Mend: BACKUP= one of: {', '.join(found) or 'none, nothing was migrated yet'}."
            )
        with written_whole(path) as write:
            ended = work.run(namespace, pod_name, ["cat", str(PurePosixPath(FOLDER) / backup)], receive=write)
            if ended.code:
                raise Failure(f"{backup} could not be read: {ended.said}")
    print(
        f"The database of Airflow {name} before that migration is in {path} ({path.stat().st_size / MEBI:.1f} MiB).\n"
        "Back: make recover (docs/upgrades.md)."
    )


def _claimed(job: Tree) -> bool:
    volumes = job["spec"]["template"]["spec"].get("volumes", [])
    return any(volume["name"] == "backups" and "persistentVolumeClaim" in volume for volume in volumes)


def _reader(job: Tree) -> Tree:
    """The migration's pod with nothing but that volume, which it can't write, and nothing to do."""
    template = template_again(job, COMPONENT)
    spec = template["spec"]
    (container,) = spec["containers"]
    container["volumeMounts"] = [{"name": "backups", "mountPath": FOLDER, "readOnly": True}]
    container["command"] = ["sh", "-c", f"trap 'exit 0' TERM; sleep {LIFETIME_SECONDS} & wait"]
    for key in ("args", "env"):
        container.pop(key, None)
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] == "backups"]
    spec.pop("initContainers", None)
    spec["automountServiceAccountToken"] = False
    spec["activeDeadlineSeconds"] = LIFETIME_SECONDS
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "name": f"{COMPONENT}-{secrets.token_hex(4)}",
            "namespace": job["metadata"]["namespace"],
        },
        "spec": spec,
    }
