"""The check for backups of Cloud SQL, against a server that answers as Google's would."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components.gcp import backup_check
from tests.unit.acme import bootstrapped, environments, permissions
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, deployed

SCRIPT = backup_check.__file__.replace("backup_check.py", "files/check_backups.py")


@contextmanager
def google(runs: list[dict[str, Any]], status: int = 200) -> Iterator[str]:
    """Metadata server and Admin API in one."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/computeMetadata/"):
                assert self.headers["Metadata-Flavor"] == "Google"
                self.send(200, {"access_token": "t0ken"})
            else:
                assert self.path == "/v1/projects/acme/instances/prod-1/backupRuns?maxResults=50"
                assert self.headers["Authorization"] == "Bearer t0ken"
                self.send(status, {"items": runs})

        def send(self, code: int, body: object) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as it is called)
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def checked(server: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, "acme", "prod-1", "30", server, server]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def run_of(hours_ago: float, status: str = "SUCCESSFUL") -> dict[str, Any]:
    ended = datetime.now(UTC) - timedelta(hours=hours_ago)
    return {"status": status, "endTime": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def test_a_backup_of_last_night_is_enough_whatever_failed_since() -> None:
    with google([run_of(1, "FAILED"), run_of(10), run_of(34)]) as server:
        said = checked(server)
    assert said.returncode == 0, said.stderr
    assert "the latest backup of prod-1 is of " in said.stdout


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ([], "has no backup that succeeded"),
        ([run_of(2, "FAILED")], "has no backup that succeeded"),
        ([run_of(2, "FAILED"), run_of(40)], "the latest backup of the instance prod-1 that succeeded is of "),
        # One that is under way has no end.
        ([{"status": "RUNNING"}], "has no backup that succeeded"),
    ],
)
def test_no_backup_or_an_old_one_is_a_failure_that_says_so(runs: list[dict[str, Any]], text: str) -> None:
    with google(runs) as server:
        said = checked(server)
    assert said.returncode == 1
    assert text in said.stderr
    assert "Traceback" not in said.stderr


def test_who_may_not_ask_says_so_without_the_token() -> None:
    with google([], status=403) as server:
        said = checked(server)
    assert said.returncode == 1
    assert "can't be asked for: HTTP Error 403" in said.stderr
    assert "t0ken" not in said.stderr + said.stdout


@pytest.fixture(scope="module")
def prod() -> Recording:
    return deployed("prod")


def test_the_check_may_list_the_backups_of_one_instance_and_nothing_else(prod: Recording) -> None:
    granted = prod.one("IAMMember", "backup-check-list").inputs
    known = bootstrapped(lambda tree: environments(tree)[2].update(project="acme-airflow-prod"))
    assert permissions(known, granted["role"]) == ["cloudsql.backupRuns.list"]
    assert granted["condition"]["expression"] == (
        '(resource.name == "projects/acme-airflow-prod/instances/prod-0a1b2c" || '
        'resource.name.startsWith("projects/acme-airflow-prod/instances/prod-0a1b2c/")) && '
        'resource.service == "sqladmin.googleapis.com"'
    )
    account = prod.one("ServiceAccount", "backup-check-account").inputs["metadata"]
    assert account["annotations"]["iam.gke.io/gcp-service-account"].startswith("prod-backup-check@")
    cron = prod.one("CronJob", "backup-check-cron").inputs["spec"]
    (container,) = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"][2:] == ["acme-airflow-prod", "prod-0a1b2c", "30"]


def test_an_instance_that_is_not_made_here_and_a_database_in_the_cluster_have_no_check() -> None:
    def there_before(tree: Tree) -> None:
        tree["database"] = {"kind": "existing", "connectionName": "acme-data:europe-west1:main", "maxConnections": 100}
        tree["databaseAdministratorPassword"] = "hush"

    for made in (deployed("local"), deployed("prod", there_before)):
        assert not [name for name in made.of("CronJob") if "backup" in name]
