"""The author's loop: what it prints and how it exits, for good DAGs and for bad ones."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1]
sys.path.insert(0, str(TOOLS))
from check import unlocked  # noqa: E402 (it stands beside this folder, not in it)

HEAD = """
from datetime import timedelta
from airflow.sdk import dag, task

@dag("{name}", description="Fine.", schedule=None, dagrun_timeout=timedelta(minutes=5),
     default_args={{"owner": "someone", "retries": 2, "retry_delay": timedelta(minutes=9)}})
def made():
    @task
    def work():
        {body}
    work()

made()
"""


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dags")
    for name, body in (("prints", "print('here I am')"), ("fails", "raise KeyError('no such column')")):
        (folder / f"{name}.py").write_text(HEAD.format(name=name, body=body))
    (folder / "broken.py").write_text("from airflow.sdk import dag\nimport no_such_module\n")
    return folder


def tool(name: str, *arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, TOOLS / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_dag_runs_in_this_process_and_prints_what_its_tasks_print(dags: Path) -> None:
    code, said = tool("run", "prints", "2026-03-01", "--dags", dags)
    assert code == 0, said
    assert "here I am" in said
    assert "prints: success in " in said


def test_a_task_that_fails_is_not_tried_again_and_its_error_is_shown(dags: Path) -> None:
    code, said = tool("run", "fails", "2026-03-01T06:00", "--dags", dags)
    assert code == 1, said
    assert "KeyError: 'no such column'" in said
    assert "fails: failed in " in said


def test_a_misspelled_dag_names_the_near_ones_and_the_files_that_are_broken(dags: Path) -> None:
    code, said = tool("run", "prnits", "2026-03-01", "--dags", dags)
    assert code == 2
    assert "there is no DAG 'prnits'. Did you mean prints?" in said
    assert "broken.py: ModuleNotFoundError: No module named 'no_such_module'" in said


@pytest.mark.parametrize("date", ["01.03.2026", "2026-02-30", ""])
def test_a_bad_date_says_how_to_write_one(date: str) -> None:
    code, said = tool("run", "prints", date)
    assert code == 2
    assert f"DATE={date} is no date.\nMend: write it like DATE=2026-03-01" in said


def test_the_check_says_which_file_is_wrong_and_the_mend(dags: Path) -> None:
    (dags / "hasty.py").write_text(HEAD.format(name="hasty", body="pass").replace('"retries": 2', '"retries": 0'))
    code, said = tool("check", "--dags", dags)
    assert code == 1
    assert "ok     prints.py (prints)" in said
    assert "wrong  hasty.py (hasty)\n       - hasty.work has no retries (set retries in default_args" in said
    assert "wrong  broken.py (no DAG)\n       - does not import: " in said
    assert said.endswith("something is wrong, see above\n")


def test_a_requirement_that_nobody_has_locked_is_named() -> None:
    lock = "python-stdnum==2.2 \\\n    --hash=sha256:00\nPyYAML==6.0.2 ; python_version >= '3.11' \\\n"
    asked = "# why\npython_stdnum==2.3  # newer\npyyaml>=6\n\nrequests\n"
    assert unlocked(asked, lock) == ["python_stdnum==2.3", "requests"]
