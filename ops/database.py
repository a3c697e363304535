"""An Airflow's database from inside its cluster: looked into, dumped and restored by a pod that lives that long.

The pod is made from the bootstrap Job's (components/airflow/database.py) as it stands in the cluster: same place, same
image, server, administrator and Auth Proxy. So nothing about the way to the database is said a second time.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.cluster_work import ClusterWork, template_again
from testbed.progress import Failure, Progress

COMPONENT = "database-tools"
LIFETIME_SECONDS = 6 * 3600  # of a pod whose command was killed; a dump or a restoration must not take longer
MAGIC = b"PGDMP"
"""How pg_dump's custom format begins (PostgreSQL's src/bin/pg_dump/pg_backup_custom.c)."""
UNFINISHED = "airflow-platform: a recovery is under way"
"""A comment on the database while what is in it comes from a dump and nobody may rely on it yet."""
Tree = dict[str, Any]

# The sum goes over another channel than the dump: the connection may end early without saying so.
_DUMP = """
set -o pipefail
mkfifo /tmp/copy
sha256sum < /tmp/copy >&2 &
pg_dump --format=custom --role="$1" --dbname="$2" | tee /tmp/copy
code=$?
wait
exit $code
"""

# What the stack file puts into a new Airflow (MARK in components/airflow/files/reconcile.py) is nothing that gets lost.
_CONTENTS = """
psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set=role="$1" --dbname="$2" <<'SQL'
SET ROLE :"role";
SELECT format('SELECT %L, count(*) FROM public.%I WHERE %s', name, name, counted)
FROM (VALUES
  ('dag_run', 'true'),
  ('connection', $$coalesce(description, '') NOT LIKE '%(from the stack file)'$$),
  ('variable', $$coalesce(description, '') NOT LIKE '%(from the stack file)'$$)
) AS tables (name, counted)
WHERE to_regclass('public.' || name) IS NOT NULL \\gexec
SELECT 'comment', shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database();
SQL
"""

# One transaction: what was there before goes only if all of the dump has come, or stays. The dump says itself where
# its parts end, so a connection that breaks off makes pg_restore fail, and nothing is committed. "Terse": a message's
# context may quote a row. What is left of the dump after a failure is read, too: see run_in_pod.
_RESTORE = f"""
restore() {{
  set -o pipefail
  {{
    cat <<'SQL'
BEGIN;
SET client_min_messages = warning;
SET lock_timeout = '60s';
SET ROLE :"role";
SELECT format('DROP SCHEMA %I CASCADE', nspname)
FROM pg_namespace WHERE nspowner = (SELECT oid FROM pg_roles WHERE rolname = :'role') \\gexec
CREATE SCHEMA public;
COMMENT ON DATABASE :"database" IS '{UNFINISHED}';
SQL
    pg_restore --no-owner --no-privileges --file=- && echo 'COMMIT;'
  }} | psql --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 --set=VERBOSITY=terse \
    --set=role="$1" --set=database="$2" --dbname="$2"
}}
head --bytes="$3" | {{
  restore "$1" "$2"
  code=$?
  cat > /dev/null
  exit $code
}}
"""

_FINISH = """
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=role="$1" --set=database="$2" --dbname="$2" <<'SQL'
SET ROLE :"role";
COMMENT ON DATABASE :"database" IS NULL;
SQL
"""


@dataclass(frozen=True)
class Place:
    """Where the database of an Airflow is administered from, and what it and its role are called."""

    namespace: str
    role: str
    database: str
    job: Tree


@dataclass(frozen=True)
class Contents:
    """How many rows of what people and DAGs put into an Airflow there are. ``unfinished``: from a recovery that is."""

    dag_runs: int = 0
    connections: int = 0
    variables: int = 0
    unfinished: bool = False

    @property
    def fresh(self) -> bool:
        """Whether nothing is lost with it."""
        return self.unfinished or not (self.dag_runs or self.connections or self.variables)

    def __str__(self) -> str:
        return f"DAG runs: {self.dag_runs}, connections: {self.connections}, variables: {self.variables}"


def place_of(work: ClusterWork, airflow: str) -> Place | None:
    """Where the database of ``airflow`` is; None before its bootstrap Job has run."""
    job = work.job(airflow, "database-bootstrap")
    if job is None or not job.get("status", {}).get("succeeded"):
        return None
    command: list[str] = job["spec"]["template"]["spec"]["containers"][0]["command"]
    given = dict(option.removeprefix("--set=").split("=", 1) for option in command if option.startswith("--set="))
    return Place(job["metadata"]["namespace"], given["role"], given["database"], job)


@dataclass(frozen=True)
class DatabaseTools:
    """PostgreSQL's client programs beside the server that holds the database at ``place``."""

    work: ClusterWork
    place: Place
    pod: str

    def contents(self) -> Contents:
        """What is in the database. Tables that are missing have no rows."""
        said = bytearray()
        self._run(_CONTENTS, "the database could not be read", receive=said.extend)
        rows: dict[str, str] = {}
        for line in said.decode().splitlines():
            what, _, value = line.partition("|")
            rows[what] = value
        counts = [int(rows.get(table, "0")) for table in ("dag_run", "connection", "variable")]
        return Contents(*counts, unfinished=rows["comment"] == UNFINISHED)

    def dump(self, receive: Callable[[bytes], object]) -> None:
        """A dump in pg_dump's custom format, of one moment, while Airflow may be running. Checked by its sum."""
        digest = hashlib.sha256()

        def take(piece: bytes) -> None:
            digest.update(piece)
            receive(piece)

        said = self._run(_DUMP, "pg_dump did not succeed", receive=take)
        if not said.splitlines() or said.splitlines()[-1].split()[0] != digest.hexdigest():
            raise Failure("the dump did not arrive whole: its checksum differs.\nMend: run the command again.")

    def restore(self, dump: Path) -> None:
        """Put ``dump`` in the place of all that the Airflow's role has in the database, or change nothing.

        From then on the database says that a recovery is under way, until ``finish``.
        """
        with dump.open("rb") as file:
            self._run(_RESTORE, "the dump could not be restored", str(dump.stat().st_size), send=file)

    def finish(self) -> None:
        """The recovery is over: what is in the database counts."""
        self._run(_FINISH, "the database could not be marked as recovered")

    def _run(self, script: str, what: str, *more: str, **streams: Any) -> str:
        command = ["bash", "-c", script, "bash", self.place.role, self.place.database, *more]
        ended = self.work.run(self.place.namespace, self.pod, command, **streams)
        if ended.code:
            raise Failure(f"{what} (exit code {ended.code}):\n{_indented(ended.said)}")
        return ended.said


@contextmanager
def database_tools(work: ClusterWork, place: Place, progress: Progress) -> Iterator[DatabaseTools]:
    """The tools for as long as the block lasts; their pod goes with it, whichever way it ends."""
    pod = tools_pod(place)
    with ExitStack() as stack:
        with progress.step(f"a pod with PostgreSQL's tools in namespace {place.namespace}"):
            stack.enter_context(work.pod(pod))
        yield DatabaseTools(work, place, pod["metadata"]["name"])


def tools_pod(place: Place) -> Tree:
    """The bootstrap Job's pod with nothing to do: its way to the server, but not the role's password."""
    template = template_again(place.job, COMPONENT)
    spec = template["spec"]
    (container,) = spec["containers"]
    kept = {volume["name"] for volume in spec.get("volumes", []) if "emptyDir" in volume}
    spec["volumes"] = [volume for volume in spec.get("volumes", []) if volume["name"] in kept]
    container["volumeMounts"] = [mount for mount in container.get("volumeMounts", []) if mount["name"] in kept]
    container["name"] = "tools"
    # The first process of a container ignores the request to end unless it says what to do then.
    container["command"] = ["bash", "-c", f"trap 'exit 0' TERM; sleep {LIFETIME_SECONDS} & wait"]
    container.pop("args", None)
    spec["restartPolicy"] = "Never"
    spec["activeDeadlineSeconds"] = LIFETIME_SECONDS
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "name": f"{COMPONENT}-{secrets.token_hex(4)}",
            "namespace": place.namespace,
        },
        "spec": spec,
    }


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def begins_as_dump(path: Path) -> bool:
    """Whether the file is in pg_dump's custom format, as far as its beginning tells."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
