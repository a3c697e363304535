"""The desk for dev stacks' databases, against a real PostgreSQL server: what it makes, drops, and leaves alone."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from components.airflow.configuration import script

FILES = Path(__file__).resolve().parents[2] / "components" / "desk" / "files"
NOBODY = 65534
DEBIAN = "/usr/lib/postgresql"


def server_program(name: str) -> str | None:
    found = shutil.which(name)
    return found or next((str(path) for path in Path(DEBIAN).glob(f"*/bin/{name}")), None)


pytestmark = pytest.mark.skipif(
    server_program("initdb") is None or shutil.which("psql") is None, reason="there is no PostgreSQL on this machine"
)


class Desk:
    """A server in ``home``, and the desk's script beside it with its folders below ``home``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data, self.requests = home / "data", home / "run" / "requests"
        for folder in (self.requests, home / "run" / "desk", home / "run" / "secrets" / "role"):
            folder.mkdir(parents=True)
        for file in FILES.iterdir():
            self._ship(file.name, file.read_text(encoding="utf-8"))
        self._ship("bootstrap.sql", script("bootstrap.sql"))
        if os.geteuid() == 0:
            for path in [home, *home.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        self.lists = 0
        # PostgreSQL does not run as root. Not by Popen's user=, which forks in a way that runs gRPC's fork handler:
        # with the threads that other tests of this process have left, the child dies of that now and then (SIGSEGV).
        drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.prefix = drop if os.geteuid() == 0 else ()
        # No TCP: the socket in a folder of its own is all there is.
        self.environment = {**os.environ, "PGHOST": str(home), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        self.environment["DESK_MARK"] = "airflow-platform: a dev stack of test"
        self._run(server_program("initdb"), "--username=postgres", "--auth=trust", "--no-sync", f"--pgdata={self.data}")
        options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
        self._control("start", "--wait", f"--options={options}", f"--log={home / 'log'}")
        self.process = subprocess.Popen(
            [*self.prefix, "bash", str(home / "run" / "desk" / "desk.sh")], env=self.environment
        )

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self._control("stop", "--mode=immediate")

    def ask(self, **passwords: str) -> None:
        """What the other container writes: a whole list, then the turn to it."""
        self.lists += 1
        folder = self.requests / f"list-{self.lists}"
        for name, password in passwords.items():
            request = folder / name.replace("_", "-")
            request.mkdir(parents=True)
            (request / "password").write_text(password)
            (request / "connections").write_text("7")
        folder.mkdir(exist_ok=True)
        link = self.requests / "asked.new"
        link.symlink_to(folder)
        link.replace(self.requests / "asked")

    def sql(self, query: str) -> list[str]:
        done = self._run("psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={query}")
        return done.split()

    def roles(self) -> list[str]:
        return self.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'airflow%' ORDER BY 1")

    def databases(self) -> list[str]:
        return self.sql("SELECT datname FROM pg_database WHERE datname LIKE 'airflow%' ORDER BY 1")

    def made(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.requests / "made").read_text().split()
        return ["nothing yet"]

    def _ship(self, name: str, text: str) -> None:
        (self.home / "run" / "desk" / name).write_text(text.replace("/run/", f"{self.home}/run/"), encoding="utf-8")

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [*self.prefix, str(server_program("pg_ctl")), *arguments, f"--pgdata={self.data}"],
            check=True,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )

    def _run(self, *command: str | None) -> str:
        done = subprocess.run(
            [*self.prefix, *(str(part) for part in command)],
            check=True,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        return done.stdout


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, f"{what}: not within 120 s"
        time.sleep(0.2)


@pytest.fixture
def desk() -> Iterator[Desk]:
    # Not below pytest's own folder, which is its user's alone; and sockets have short paths.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made = Desk(Path(folder))
        try:
            yield made
        finally:
            made.stop()


def test_it_makes_what_is_asked_for_and_drops_what_is_not_any_more(desk: Desk) -> None:
    desk.ask(dev_alice="s3c'ret \\ \"x", dev_bob="b")
    both = ["airflow_dev_alice", "airflow_dev_bob"]
    wait_until(lambda: desk.made() == both, "both are made")
    assert (desk.roles(), desk.databases()) == (both, both)
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'airflow_dev_alice'"
    assert desk.sql(owner) == ["airflow_dev_alice"]
    assert desk.sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'airflow_dev_alice'") == ["7"]
    assert not (desk.home / "run" / "secrets" / "role" / "password").exists()

    desk.ask(dev_bob="b")
    wait_until(lambda: desk.made() == ["airflow_dev_bob"], "one is dropped")
    assert (desk.roles(), desk.databases()) == (["airflow_dev_bob"], ["airflow_dev_bob"])


def test_it_leaves_alone_what_it_did_not_make(desk: Desk) -> None:
    desk.sql("CREATE ROLE airflow_main LOGIN PASSWORD 'main'")
    desk.sql("CREATE ROLE airflow_dev_team LOGIN PASSWORD 'team'")
    desk.sql("CREATE DATABASE airflow_dev_team OWNER airflow_dev_team")
    before = desk.sql("SELECT rolname || rolpassword FROM pg_authid WHERE rolname LIKE 'airflow%' ORDER BY 1")
    # The name of a team, a name that is no dev stack's, and one after them, to know when it is through.
    desk.ask(dev_team="mine now", main="mine now", dev_zoe="z")
    wait_until(lambda: desk.made() == ["airflow_dev_zoe"], "the good request is fulfilled")
    desk.ask()
    wait_until(lambda: desk.made() == [], "it is dropped again")
    after = desk.sql("SELECT rolname || rolpassword FROM pg_authid WHERE rolname LIKE 'airflow%' ORDER BY 1")
    assert after == before
    assert desk.databases() == ["airflow_dev_team"]


def test_it_mends_what_was_interrupted_and_tries_again_what_failed(desk: Desk) -> None:
    # Marked, and nothing else yet: a desk that was killed in between.
    desk.sql("CREATE ROLE airflow_dev_alice")
    desk.sql(f"COMMENT ON ROLE airflow_dev_alice IS '{desk.environment['DESK_MARK']}'")
    desk.ask(dev_alice="a")
    wait_until(lambda: desk.made() == ["airflow_dev_alice"], "it is made whole")
    assert desk.databases() == ["airflow_dev_alice"]
    # Something of the administrator's in the way keeps the role from being dropped, until it is gone.
    desk.sql("CREATE DATABASE other OWNER airflow_dev_alice")
    desk.ask()
    wait_until(lambda: desk.databases() == [], "its own database is dropped")
    assert desk.roles() == ["airflow_dev_alice"]
    desk.sql("DROP DATABASE other")
    wait_until(lambda: desk.made() == [], "the role is dropped, too")
