"""What `make status` says of a git repository that gives no new DAGs, and of DAG files that do not import."""

import json

import pytest

from infra.settings import AirflowSettings
from ops.airflow_state import SHOWN_FILES, import_problems
from ops.repositories import explain, last_error_of_bundle, last_error_of_git_sync
from tests.unit.stack_files import changed, settings, stack_config


@pytest.fixture(scope="module")
def airflow() -> AirflowSettings:
    tree = changed(stack_config("dev"), lambda t: t["airflows"][0]["dags"]["git"].update(ref="release"))
    return settings(tree).airflows[0]


def failed(stderr: str) -> str:
    """A line of git-sync's log, as v4.5.0 writes it."""
    said = f'Run(git fetch …): exit status 128: {{ stdout: "", stderr: {json.dumps(stderr)} }}'
    return json.dumps({"logger": "", "msg": "error syncing repo, will retry", "error": said, "failCount": 1})


UPDATED = json.dumps({"logger": "", "level": 0, "msg": "updated successfully", "ref": "main"})
REFUSED_KEY = (
    "git@git.acme.example: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n\n"
    "Please make sure you have the correct access rights\nand the repository exists."
)


@pytest.mark.parametrize(
    ("stderr", "what", "mend"),
    [
        ("fatal: couldn't find remote ref release", "the repository has no release", "correct ref"),
        (
            "No ED25519 host key is known for git.acme.example and you have requested strict checking.\r\n"
            "Host key verification failed.\r\nfatal: Could not read from remote repository.",
            "the server's key is none of those that are known",
            "knownHosts",
        ),
        (REFUSED_KEY, "the server refuses the ssh key", "gitSshKey"),
        ("fatal: Authentication failed for 'https://git.acme.example/dags.git/'", "refuses the login", "gitToken"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "can't be reached", "network policies"),
        ("ssh: connect to host x port 22: Connection refused\r\nfatal: Could not read from", "can't be reached", ""),
        ("fatal: unable to access: server certificate verification failed", "certificate is signed by nobody", ""),
        ("fatal: repository 'https://x/y.git/' not found", "no such repository", "repository in"),
    ],
)
def test_what_git_says_is_put_into_plain_words_with_the_mend(
    airflow: AirflowSettings, stderr: str, what: str, mend: str
) -> None:
    error = last_error_of_git_sync("\n".join([UPDATED, failed(stderr)]))
    assert error
    said = explain(airflow, error)
    assert what in said
    assert mend in said
    assert "Mend:" in said


def test_what_is_not_known_stays_in_gits_words_on_one_line(airflow: AirflowSettings) -> None:
    error = last_error_of_git_sync(failed("fatal: the index\nis on fire"))
    assert error
    assert explain(airflow, error) == "no new DAGs: git said: fatal: the index is on fire"


def test_an_error_that_is_over_is_none() -> None:
    assert last_error_of_git_sync("\n".join([failed("x"), UPDATED])) is None
    assert last_error_of_git_sync("no json\n") is None


def test_a_git_bundle_is_judged_by_its_latest_look() -> None:
    error = "[error] Error refreshing bundle dags: …\nTraceback …\nstderr: 'Host key verification failed.'\n"
    assert last_error_of_bundle("[info] Refreshing bundle dags\n") is None
    assert last_error_of_bundle(error + "[info] Refreshing bundle dags\n[info] Found 3 files\n") is None
    said = last_error_of_bundle("[info] Refreshing bundle dags\n" + error)
    assert said
    assert "Host key verification failed" in said
    assert last_error_of_bundle("Error initializing bundle dags: Error cloning repository\n")


def test_files_that_do_not_import_are_named_a_hundred_of_them_are_counted() -> None:
    (line,) = import_problems("airflow-main", {"broken.py": "SyntaxError: invalid syntax"})
    assert "broken.py does not import: SyntaxError" in line
    assert "start nothing until it does" in line
    assert "Mend:" in line
    lines = import_problems("airflow-main", {f"{number}.py": "x" for number in range(100)})
    assert len(lines) == SHOWN_FILES + 1
    assert "90 more" in lines[-1]
    assert import_problems("airflow-main", {}) == []
