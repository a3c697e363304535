"""Brings the schema to what this image's Airflow needs: python migrate.py FOLDER NAMESPACE PART...

The same schema: nothing is stopped. Another one: the PARTs, which must not see it change, are taken to no pod, the
database is dumped, then migrated. Whoever rolls the PARTs out afterwards starts them. A schema that this image does not
know is refused before anything is touched.

FOLDER is shared with the container that dumps, and keeps the dump unless BACKUP_BUCKET names a bucket for it. The last
word is in the pod's status (the termination message), for whoever waits for the Job.
"""

# pyright: reportMissingImports=false, reportPrivateUsage=false

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from airflow import settings
from airflow.utils.db import _get_script_object
from airflow.utils.db_manager import RunDBManager
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

COMPONENT = "app.kubernetes.io/component"
REFUSED = 64
"""The Job is not tried again after this exit code: it would stop the parts once more, for the same end."""
STOP_SECONDS = int(os.environ.get("STOP_SECONDS", "120"))
KEPT_BACKUPS = 3
AIRFLOWS_TABLE = "alembic_version"
_SAID = Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log"))


@dataclass(frozen=True)
class Schema:
    """One history of revisions: Airflow's own, or a provider's. ``now`` is the database's, ``wanted`` the image's."""

    table: str
    now: frozenset[str]
    wanted: frozenset[str]
    unknown: frozenset[str]

    def __str__(self) -> str:
        return f"{self.table} {'+'.join(sorted(self.now)) or 'none'} -> {'+'.join(sorted(self.wanted))}"


def schemas() -> list[Schema]:
    """What the database has and what this image wants, of every history."""
    session = settings.Session()
    try:
        connection = session.connection()

        def read(table: str, script: ScriptDirectory) -> Schema:
            now = frozenset(MigrationContext.configure(connection, opts={"version_table": table}).get_current_heads())
            return Schema(
                table, now, frozenset(script.get_heads()), frozenset(one for one in now if not _has(script, one))
            )

        managers = [manager(session) for manager in RunDBManager()._managers]
        return [
            read(AIRFLOWS_TABLE, _get_script_object()),
            *(read(manager.version_table_name, manager.get_script_object()) for manager in managers),
        ]
    finally:
        session.close()


def _has(script: ScriptDirectory, revision: str) -> bool:
    try:
        return script.get_revision(revision) is not None
    except CommandError:
        return False


def migrate() -> None:
    """`airflow db migrate`, in this process: importing Airflow once more would take three seconds."""
    from airflow.__main__ import main  # noqa: PLC0415

    sys.argv = ["airflow", "db", "migrate"]
    main()


def say(text: str) -> None:
    print(text, flush=True)
    _SAID.write_text(text[-4000:], encoding="utf-8")


def refuse(text: str) -> NoReturn:
    say(text)
    sys.exit(REFUSED)


class Parts:
    """Airflow's parts in the cluster. ``stopped`` says how many pods those had that were stopped here."""

    def __init__(self, namespace: str, names: list[str]) -> None:
        from kubernetes import client, config  # noqa: PLC0415

        config.load_incluster_config()
        self.namespace = namespace
        self.names = names
        self.stopped: dict[str, int] = {}
        self._apps, self._core = client.AppsV1Api(), client.CoreV1Api()
        self._missing = client.ApiException

    def stop(self) -> None:
        for name in self.names:
            try:
                found = self._apps.read_namespaced_deployment_scale(name, self.namespace)
            except self._missing as error:
                if error.status == 404:  # not there yet
                    continue
                raise
            if found.spec.replicas:
                self._scale(name, 0)
                self.stopped[name] = found.spec.replicas
        selector = f"{COMPONENT} in ({','.join(self.names)})"
        wait(lambda: not self._core.list_namespaced_pod(self.namespace, label_selector=selector).items, STOP_SECONDS)

    def start(self) -> None:
        for name, replicas in self.stopped.items():
            self._scale(name, replicas)
        self.stopped = {}

    def _scale(self, name: str, replicas: int) -> None:
        print(f"{name}: {replicas} pods", flush=True)
        self._apps.patch_namespaced_deployment_scale(name, self.namespace, {"spec": {"replicas": replicas}})


def wait(done: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{', '.join(sys.argv[3:])} did not end within {seconds:.0f} s")
        time.sleep(1)


def back_up(folder: Path) -> str:
    """Has the other container dump the database; says where the dump is."""
    bucket = os.environ.get("BACKUP_BUCKET")
    for old in sorted(folder.glob("*.dump"))[: -KEPT_BACKUPS + 1]:  # in the order of time, by their names
        old.unlink()
    name = f"{os.environ['BACKUP_NAME']}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    request, answer = folder / "wanted", folder / "ended"
    answer.unlink(missing_ok=True)
    begun = folder / "wanted.new"
    begun.write_text(name, encoding="utf-8")
    begun.rename(request)
    while not answer.exists():
        time.sleep(0.5)
    request.unlink()
    code = answer.read_text(encoding="utf-8").strip()
    if code != "0":
        raise RuntimeError(f"pg_dump ended with code {code}: {(folder / 'said').read_text(encoding='utf-8')[-1000:]}")
    file = folder / name
    print(f"dumped: {file.stat().st_size} bytes", flush=True)
    if not bucket:
        return f"{name} on the volume claim '{os.environ['BACKUP_CLAIM']}'"
    from google.cloud import storage  # noqa: PLC0415

    blob = storage.Client().bucket(bucket).blob(f"{os.environ['BACKUP_PREFIX']}/{name}")
    blob.upload_from_filename(str(file), if_generation_match=0, checksum="crc32c", timeout=600)
    return f"gs://{bucket}/{blob.name}"


@contextmanager
def parts_stopped(parts: Parts) -> Iterator[None]:
    """What ends before the migration has begun leaves everything as it was."""
    try:
        parts.stop()
        yield
    except BaseException as error:
        parts.start()
        refuse(
            f"The schema was not changed, and {', '.join(parts.names)} run again as before, because: {error}. "
            "Mend: correct what is named and bring the stack up again."
        )


def change(folder: Path, parts: Parts, before: list[Schema]) -> None:
    changing = "; ".join(str(one) for one in before if one.now != one.wanted)
    print(f"another schema: {changing}", flush=True)
    with parts_stopped(parts):
        backup = back_up(folder)
    print(f"backup: {backup}", flush=True)
    try:
        migrate()
    except (Exception, SystemExit) as error:
        settings.engine.dispose()
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if [one.now for one in schemas()] == [one.now for one in before]:
            again = "run again with the version of before" if parts.stopped else "stay stopped, as they were found"
            parts.start()
            refuse(
                f"The migration failed and changed nothing: {said}. {', '.join(parts.names)} {again}. "
                f"Mend: see this pod's log; correct it, or put the image of before back, and bring the stack up again. "
                f"A backup was taken: {backup}."
            )
        refuse(
            f"The migration failed half-way ({'; '.join(map(str, schemas()))}): {said}. {', '.join(parts.names)} stay "
            f"stopped. The database of before is in the backup: {backup}. Mend: correct what is named and bring the "
            "stack up again, which goes on from here; or put the image of before back and restore the backup "
            "(docs/upgrades.md): make recover STACK=… AIRFLOW=… DUMP=… KEYS=…"
        )
    say(f"The schema was migrated: {changing}. Backup of before: {backup}")


def main() -> None:
    folder, namespace, *names = sys.argv[1:]
    found = schemas()
    if unknown := {revision for one in found for revision in one.unknown}:
        refuse(
            f"The database's schema is newer than this image's Airflow: it does not know revision "
            f"{', '.join(sorted(unknown))}. Nothing was changed or stopped. Mend: go on with the newer image; or go "
            "back to a backup from before that upgrade (docs/upgrades.md)."
        )
    fresh = not found[0].now
    if fresh or all(one.now == one.wanted for one in found):
        migrate()  # also writes what follows the configuration, such as the names of log files
        say("A new schema was made." if fresh else "The schema is this image's already; nothing was stopped.")
        return
    change(Path(folder), Parts(namespace, list(names)), found)


if __name__ == "__main__":
    main()
