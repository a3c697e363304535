"""The bootstrap's SQL as a managed server's administrator runs it, who is no superuser: on a real PostgreSQL."""

import subprocess
from collections.abc import Iterator, Mapping

import pytest

from components.airflow.configuration import script
from tests.cluster.platform import Platform

pytestmark = pytest.mark.cluster
ADMINISTRATOR = "managed_administrator"
TEAMS = ("managed_one", "managed_two")


class Server:
    """The platform's PostgreSQL, from inside its pod, where the server trusts every role."""

    def __init__(self, platform: Platform) -> None:
        self._exec = [*platform.kubectl_command, "--namespace=postgresql", "exec", "-i"]

    def psql(
        self, user: str, database: str, sql: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        options = [f"--set={key}={value}" for key, value in (variables or {}).items()]
        command = ["psql", "--no-psqlrc", "-At", "--host=127.0.0.1", f"--username={user}", f"--dbname={database}"]
        return subprocess.run(
            [*self._exec, "statefulset/postgresql", "--", *command, "--set=ON_ERROR_STOP=1", *options],
            input=sql,
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def succeed(self, user: str, database: str, sql: str, variables: Mapping[str, str] | None = None) -> str:
        done = self.psql(user, database, sql, variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def bootstrap(self, team: str, password: str) -> str:
        """Run the SQL that the bootstrap Job runs; the Job's password file is the one thing that is not here."""
        sql = script("bootstrap.sql").replace("`cat /run/secrets/role/password`", f"'{password}'")
        assert password in sql
        variables = {"role": team, "database": team, "connections": "7", "others": "true"}
        return self.succeed(ADMINISTRATOR, "postgres", sql, variables)


@pytest.fixture
def server(platform: Platform) -> Iterator[Server]:
    """A server with an administrator like Cloud SQL's: makes roles and databases, and is no superuser."""
    made = Server(platform)
    forget = "".join(f"DROP DATABASE IF EXISTS {team};\nDROP ROLE IF EXISTS {team};\n" for team in TEAMS)
    forget += f"SELECT 'DROP OWNED BY {ADMINISTRATOR}' WHERE to_regrole('{ADMINISTRATOR}') IS NOT NULL \\gexec\n"
    forget += f"DROP ROLE IF EXISTS {ADMINISTRATOR};\n"
    made.succeed("postgres", "postgres", forget)
    made.succeed(
        "postgres",
        "postgres",
        f"CREATE ROLE {ADMINISTRATOR} LOGIN CREATEROLE CREATEDB;\n"
        f"GRANT CONNECT ON DATABASE postgres TO {ADMINISTRATOR};",
    )
    yield made
    made.succeed("postgres", "postgres", forget)


def test_an_administrator_without_a_superusers_rights_makes_databases_that_keep_other_teams_out(server: Server) -> None:
    for team in TEAMS:
        assert f"role {team} owns database {team}" in server.bootstrap(team, "first")
    one, two = TEAMS
    server.succeed(one, one, "CREATE TABLE mine (word text); INSERT INTO mine VALUES ('kept');")
    refused = server.psql(two, one, "SELECT * FROM mine")
    assert refused.returncode != 0
    assert f'permission denied for database "{one}"' in refused.stderr
    assert server.succeed(one, one, f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{one}'") == "7"
    rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    assert server.succeed(one, one, f"SELECT {rights} FROM pg_roles WHERE rolname = '{one}'") == "f"


def test_the_bootstrap_run_again_sets_a_new_password_and_keeps_what_is_there(server: Server) -> None:
    one = TEAMS[0]
    server.bootstrap(one, "first")
    server.succeed(one, one, "CREATE TABLE mine (word text); INSERT INTO mine VALUES ('kept');")
    verifier = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{one}'"
    before = server.succeed("postgres", "postgres", verifier)
    server.bootstrap(one, "second")
    assert server.succeed("postgres", "postgres", verifier) != before
    assert server.succeed(one, one, "SELECT word FROM mine") == "kept"
