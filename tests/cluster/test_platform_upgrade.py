"""Upgrades to images with another schema: one that works, one that fails, and the way back that there is not."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes import client

from ops.backups import fetch_backup
from ops.database import begins_as_dump
from ops.status import status
from testbed.progress import Failure
from tests.cluster.looks import pods_of, wait_until
from tests.cluster.platform import Platform
from tests.cluster.test_platform_database import Server

pytestmark = [pytest.mark.cluster, pytest.mark.long]
PARTS = ("scheduler", "dag-processor", "triggerer")
ROLE = "airflow_main"
# Appended to the image's own recipe: its Airflow then wants these revisions, too.
LAYER = """
COPY revisions/ /tmp/revisions/
RUN cp /tmp/revisions/*.py "$(python -c 'import sys; print(next(p for p in sys.path if p.endswith("site-packages")))'\
)/airflow/migrations/versions/"
"""
REVISION = '''
"""For the tests."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{revision}", "{below}", None, None
airflow_version = "3.3.2"


def upgrade():
    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))
    {then}
'''


class Upgrades:
    """The platform's image with more revisions than Airflow's own."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.server = Server(platform)
        self.apps = client.AppsV1Api(platform.api_client())
        self.folder = platform.source / "dags-image" / "revisions"
        self.recipe = platform.source / "dags-image" / "Dockerfile"
        self.original = self.recipe.read_text(encoding="utf-8")
        with (platform.source / "dags-image" / ".dockerignore").open("a", encoding="utf-8") as allowed:
            allowed.write("\n!revisions/\n")
        self.first = self.revision()

    def revision(self) -> str:
        return self.server.succeed(ROLE, ROLE, "SELECT version_num FROM alembic_version")

    def want(self, *revisions: tuple[str, str]) -> None:
        """Have the next image want these, in this order; each is a name and what else it does."""
        self.folder.mkdir(exist_ok=True)
        for old in self.folder.iterdir():
            old.unlink()
        below = self.first
        for revision, then in revisions:
            text = REVISION.format(revision=revision, below=below, table=f"probe_{revision}", then=then)
            (self.folder / f"9{revision}.py").write_text(text, encoding="utf-8")
            below = revision
        self.recipe.write_text(self.original + (LAYER if revisions else ""), encoding="utf-8")

    def replicas(self) -> dict[str, int]:
        return {
            part: self.apps.read_namespaced_deployment_scale(part, "airflow-main").spec.replicas or 0 for part in PARTS
        }

    def restore(self) -> None:
        """Have the schema and the image of before."""
        tables = self.server.succeed(ROLE, ROLE, "SELECT tablename FROM pg_tables WHERE tablename LIKE 'probe_%'")
        drop = "".join(f"DROP TABLE {table};\n" for table in tables.split())
        self.server.succeed(ROLE, ROLE, f"{drop}UPDATE alembic_version SET version_num = '{self.first}';")
        self.want()
        self.platform.up()


@pytest.fixture(scope="module")
def upgrades(platform: Platform) -> Iterator[Upgrades]:
    platform.up()  # what a test before wanted may still be there
    made = Upgrades(platform)
    yield made
    made.restore()


def job_log(platform: Platform) -> str:
    core = client.CoreV1Api(platform.api_client())
    newest = max(pods_of(platform, "migrate"), key=lambda pod: pod.metadata.creation_timestamp)
    return str(core.read_namespaced_pod_log(newest.metadata.name, "airflow-main", container="migrate"))


def after(seconds: float, what: str, condition: Callable[[], bool]) -> None:
    wait_until(condition, seconds, what)


def test_another_schema_stops_three_parts_takes_a_dump_and_loses_no_task(
    upgrades: Upgrades, platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with platform.airflow() as api:
        run_id = api.trigger("slow_chain")
        after(
            180,
            "three tasks run",
            lambda: [task["state"] for task in api.tasks("slow_chain", run_id)].count("running") == 3,
        )
    upgrades.want(("aaaa00000001", ""))
    platform.up()
    log = job_log(platform)
    assert all(f"{part}: 0 pods" in log for part in PARTS), log
    assert f"alembic_version {upgrades.first} -> aaaa00000001" in log
    assert upgrades.revision() == "aaaa00000001"
    assert upgrades.replicas() == dict.fromkeys(PARTS, 1)
    with platform.airflow() as api:
        assert api.wait_for_run("slow_chain", run_id)["state"] == "success"
        assert {task["try_number"] for task in api.tasks("slow_chain", run_id)} == {1}
    (name,) = re.findall(r"airflow_main-\d{8}T\d{6}Z\.dump", log.splitlines()[-1])
    fetch_backup(platform.target(), "", name, str(tmp_path / "before.dump"), platform.progress)
    assert begins_as_dump(tmp_path / "before.dump")
    with pytest.raises(Failure, match=re.escape(name)):  # what there is, is named
        fetch_backup(platform.target(), "", "nothing.dump", str(tmp_path / "nothing.dump"), platform.progress)


def test_a_migration_that_fails_leaves_schema_and_parts_as_they_were(upgrades: Upgrades, platform: Platform) -> None:
    upgrades.want(("aaaa00000001", ""), ("bbbb00000002", "raise RuntimeError('there is no room')"))
    with pytest.raises(Failure, match="The migration failed and changed nothing: there is no room") as raised:
        platform.up()
    assert "run again with the version of before" in str(raised.value)
    assert upgrades.revision() == "aaaa00000001"
    assert upgrades.replicas() == dict.fromkeys(PARTS, 1)
    with platform.airflow() as api:
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"


def test_a_migration_that_fails_half_way_names_the_backup_and_the_next_one_goes_on(
    upgrades: Upgrades, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    half = [("aaaa00000001", ""), ("bbbb00000002", "")]
    upgrades.want(*half, ("cccc00000003", "raise RuntimeError('there is no room')"))
    with pytest.raises(Failure, match="The migration failed half-way") as raised:
        platform.up()
    assert re.search(r"backup: airflow_main-\d{8}T\d{6}Z\.dump", str(raised.value))
    assert "make recover" in str(raised.value)
    assert upgrades.revision() == "bbbb00000002"
    assert upgrades.replicas() == dict.fromkeys(PARTS, 0)
    assert not status(platform.target())
    assert "airflow-main/scheduler: stopped" in capsys.readouterr().out
    upgrades.want(*half, ("cccc00000003", ""))
    platform.up()
    assert upgrades.revision() == "cccc00000003"
    assert upgrades.replicas() == dict.fromkeys(PARTS, 1)


def test_an_image_older_than_the_schema_is_refused_before_anything_stops(
    upgrades: Upgrades, platform: Platform
) -> None:
    before = {pod.metadata.uid for part in PARTS for pod in pods_of(platform, part)}
    upgrades.want()
    with pytest.raises(Failure, match="The database's schema is newer than this image's Airflow"):
        platform.up()
    assert {pod.metadata.uid for part in PARTS for pod in pods_of(platform, part)} == before
