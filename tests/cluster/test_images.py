"""The images that the testbed builds keep the contract of the official ones, as far as the platform leans on it."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.images import REPO, Image
from testbed.images.buildah import Buildah, buildah
from testbed.images.dags import dags_image
from testbed.images.recipes import AIRFLOW_BASE, POSTGRES, PREFIX, ensure_stored, image
from testbed.images.wheels import wheels
from testbed.progress import Failure, Progress

pytestmark = pytest.mark.cluster
VERSION = "image-test"
FOREIGN = "12345:0"
"""A user id that no image knows, as a cluster may assign."""


class Container:
    """A container of one image: commands run in it one after the other and share its files."""

    def __init__(self, builder: Buildah, made: Image) -> None:
        ensure_stored(builder, made)
        self.builder = builder
        self.name = builder.run("from", "--pull=never", made.reference).split()[-1]

    def run(self, user: str, *command: str) -> str:
        return self.builder.run("run", "--isolation", "chroot", "--user", user, self.name, "--", *command)


def config_of(made: Image) -> dict[str, Any]:
    with tarfile.open(made.archive) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
        content = archive.extractfile(manifest[0]["Config"]) or pytest.fail("no config")
        assert manifest[0]["RepoTags"] == [made.reference]
        loaded: dict[str, Any] = json.load(content)["config"]
    return loaded


@pytest.fixture(scope="module")
def dags() -> Image:
    return dags_image(Progress(), REPO, VERSION)


@pytest.fixture(scope="module")
def postgres_image() -> Image:
    return image(Progress(), POSTGRES)


@pytest.fixture(scope="module")
def containers(dags: Image, postgres_image: Image) -> Iterator[tuple[Container, Container]]:
    with buildah(Progress()) as builder:
        both = Container(builder, dags), Container(builder, postgres_image)
        yield both
        for one in both:
            builder.run("rm", one.name)


@pytest.fixture
def airflow(containers: tuple[Container, Container]) -> Container:
    return containers[0]


@pytest.fixture
def postgres(containers: tuple[Container, Container]) -> Container:
    return containers[1]


def test_the_dag_image_carries_its_version_and_runs_as_the_airflow_user(dags: Image) -> None:
    config = config_of(dags)
    assert config["User"] == "50000"
    assert config["Labels"]["org.opencontainers.image.version"] == VERSION
    assert f"DAGS_VERSION={VERSION}" in config["Env"]
    assert config["Entrypoint"] == ["/usr/bin/dumb-init", "--", "/entrypoint"]


def test_no_build_tools_are_left_inside(airflow: Container) -> None:
    tools = "gcc cc g++ make ld pip pip3 uv python3-config"
    assert airflow.run("50000:0", "bash", "-c", f"for tool in {tools}; do command -v $tool; done; true").split() == []
    with pytest.raises(Failure, match="No module named pip"):
        airflow.run("50000:0", "python", "-m", "pip", "--version")


def test_any_user_id_in_group_0_can_run_airflow_and_read_the_dags(airflow: Container) -> None:
    entry = ("/usr/bin/dumb-init", "--", "/entrypoint")
    assert airflow.run(FOREIGN, *entry, "airflow", "version").split()[-1] == AIRFLOW_BASE.arguments["AIRFLOW_VERSION"]
    assert airflow.run(FOREIGN, *entry, "version").split()[-1] == AIRFLOW_BASE.arguments["AIRFLOW_VERSION"]
    assert airflow.run(FOREIGN, *entry, "python", "-c", "import getpass; print(getpass.getuser())").split() == [
        "default"
    ]
    read = "cat /opt/airflow/dags/*.py /opt/airflow/dags/data/sales.csv > /opt/airflow/logs/all && echo readable"
    assert airflow.run(FOREIGN, "bash", "-c", read).split() == ["readable"]


def test_the_requirements_of_the_dags_are_installed(airflow: Container) -> None:
    code = "from stdnum import ean; print(ean.is_valid('4006381333931'))"
    assert airflow.run("50000:0", "python", "-c", code).split() == ["True"]


def test_a_changed_lock_reaches_the_image(airflow: Container, tmp_path: Path) -> None:
    builder = airflow.builder
    folder = tmp_path / "dags-image"
    shutil.copytree(REPO / "dags-image", folder)
    arguments = {
        "BASE_IMAGE": image(Progress(), AIRFLOW_BASE).reference,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/wheels",
    }
    wheel_folder = wheels(Progress(), REPO / "dags-image/requirements.lock")
    reference = f"{PREFIX}/lock-test:1"

    def installed() -> str:
        builder.build(folder / "Dockerfile", folder, reference, arguments, [f"{wheel_folder}:/wheels:ro"])
        name = builder.run("from", "--pull=never", reference).split()[-1]
        code = "import importlib.util as u; print(u.find_spec('stdnum') is not None)"
        said = builder.run("run", "--isolation", "chroot", name, "--", "python", "-c", code)
        builder.run("rm", name)
        return said.split()[-1]

    try:
        assert installed() == "True"
        (folder / "requirements.lock").write_text("# no package any more\n")
        assert installed() == "False"
    finally:
        builder.forget([reference])


def test_airflow_is_compiled_so_that_no_task_pod_pays_for_it(airflow: Container) -> None:
    code = (
        "import airflow, importlib.util as u, pathlib;"
        "print(sum(not pathlib.Path(u.cache_from_source(str(p))).exists()"
        " for p in pathlib.Path(airflow.__file__).parent.rglob('*.py') if 'templates' not in str(p)))"
    )
    assert airflow.run("50000:0", "python", "-c", code).split()[-1] == "0"


START = """
set -e
export POSTGRES_USER=admin POSTGRES_DB='air"flow'
export PGDATA=/tmp/database/pgdata POSTGRES_PASSWORD_FILE=/tmp/database/password
mkdir -p /tmp/database
printf '%s' 'p$w '"'"'"%41' > $POSTGRES_PASSWORD_FILE
docker-entrypoint.sh postgres -c shared_buffers=16MB > /tmp/database/log 2>&1 &
server=$!
deadline=$((SECONDS + 60))
until pg_isready -q -h /var/run/postgresql -U admin; do
    kill -0 $server && ((SECONDS < deadline)) || { echo "no server after 60 s:"; cat /tmp/database/log; exit 1; }
    sleep 0.1
done
ask() { psql -h /var/run/postgresql -U admin -d 'air"flow' -Atqc "$1"; }
"""
STOP = "kill -INT $server; wait $server"


def test_postgres_makes_the_database_once_and_keeps_it(postgres: Container) -> None:
    first = START + "ask 'create table kept (n int)'; ask 'show listen_addresses'\n" + STOP
    assert postgres.run("999:999", "bash", "-c", first).split() == ["*"]
    again = START + "ask 'select count(*) from kept'; ls -A $PGDATA/.making 2>/dev/null || true\n" + STOP
    assert postgres.run("999:999", "bash", "-c", again).split() == ["0"]


def test_postgres_asks_for_the_password_from_elsewhere(postgres: Container) -> None:
    rules = "select type, address, auth_method from pg_hba_file_rules where database <> '{replication}'"
    query = f'ask "{rules}"; ask "select left(rolpassword, 13) from pg_authid where rolname = current_user"\n'
    lines = postgres.run("999:999", "bash", "-c", START + query + STOP).split()
    assert lines == [
        "local||trust",
        "host|127.0.0.1|trust",
        "host|::1|trust",
        "host|all|scram-sha-256",
        "SCRAM-SHA-256",
    ]


def test_postgres_starts_under_a_user_id_without_a_name(postgres: Container) -> None:
    fresh = START.replace("/tmp/database", "/tmp/foreign") + 'ask "select 41 + 1"\n' + STOP
    assert postgres.run("12345:12345", "bash", "-c", fresh).split() == ["42"]


def test_postgres_starts_anew_after_being_killed_while_making_the_database(postgres: Container) -> None:
    torn = START.replace("/tmp/database", "/tmp/torn").replace(
        "docker-entrypoint.sh postgres",
        "mkdir -p $PGDATA/.making/base $PGDATA/global; echo half > $PGDATA/pg_hba.conf; docker-entrypoint.sh postgres",
        1,
    )
    assert postgres.run("999:999", "bash", "-c", torn + 'ask "select 41 + 1"\n' + STOP).split() == ["42"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("mkdir -p $PGDATA; touch $PGDATA/somebodys-file; export POSTGRES_PASSWORD=x", "holds files but no database"),
        ("true", "no password for the superuser"),
        ("export POSTGRES_PASSWORD=x POSTGRES_PASSWORD_FILE=/tmp/y", "give one"),
    ],
)
def test_postgres_refuses_what_it_cannot_make_a_database_of(
    postgres: Container, settings: str, complaint: str, tmp_path: Path
) -> None:
    script = f"export PGDATA=/tmp/{tmp_path.name}; {settings}; docker-entrypoint.sh postgres"
    with pytest.raises(Failure, match=complaint):
        postgres.run("999:999", "bash", "-c", script)


def test_building_leaves_no_mount_behind(containers: tuple[Container, Container], dags: Image) -> None:
    storage = dags.archive.parents[1] / "buildah"
    assert [line for line in Path("/proc/mounts").read_text().splitlines() if str(storage) in line] == []
