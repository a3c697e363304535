"""The rules themselves: what they refuse and what they let through."""

from pathlib import Path

import pytest
from rules import doubled_ids, inspect, problems

HEAD = """
from datetime import timedelta
from airflow.sdk import DAG, BaseHook, Variable, task
"""
GOOD = """
with DAG("{name}", description="Fine.", schedule=None, dagrun_timeout=timedelta(minutes=5),
         default_args={{"owner": "someone", "retries": 1}}):
    @task
    def work():
        open("/tmp/result", "w").close()
    work()
"""
IO = {
    "reads-a-file": ("open(__file__ + '.yaml')", "open("),
    "writes-a-file": ("open('/tmp/written-by-a-dag-file', 'w')", "open("),
    "swallows-its-error": ("try:\n    open('/tmp/written-by-a-dag-file', 'w')\nexcept Exception:\n    pass", "open("),
    "makes-a-folder": ("import os\nos.mkdir('/tmp/made-by-a-dag-file')", "os.mkdir"),
    "connects": ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "socket."),
    "asks-the-web": ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')", "urllib.Request"),
    "starts-a-program": ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
    "runs-a-shell": ("import os\nos.system('true')", "os.system"),
    "opens-a-database": ("import sqlite3\nsqlite3.connect(':memory:')", "sqlite3.connect"),
    "reads-a-variable": ("Variable.get('limit', default=1)", "Variable.get"),
    "reads-a-connection": ("BaseHook.get_connection('db')", "BaseHook.get_connection"),
}
BROKEN = {
    "syntax-error": ("airflow dag = (", "does not import"),
    "missing-module": ("import no_such_module_anywhere", "does not import"),
    "no-owner": (GOOD.replace('"owner": "someone", ', ""), "has no owner"),
    "default-owner": (GOOD.replace("someone", "airflow"), "has no owner"),
    "no-description": (GOOD.replace('description="Fine.", ', ""), "has no description"),
    "no-retries": (GOOD.replace('"retries": 1', '"retries": 0'), "has no retries"),
    "no-time-out": (GOOD.replace("dagrun_timeout=timedelta(minutes=5),", ""), "has no time-out"),
    "no-task": (GOOD.replace("    work()\n", ""), "has no task"),
    "a-cycle": (GOOD + "    a = work.override(task_id='a')()\n    a >> a\n", "does not import"),
}
FINE = {
    "good": GOOD,
    "task-time-out": GOOD.replace("dagrun_timeout=timedelta(minutes=5),", "").replace(
        '"retries": 1', '"retries": 1, "execution_timeout": timedelta(minutes=1)'
    ),
    "variable-in-a-task": GOOD.replace('open("/tmp/result", "w").close()', 'Variable.get("limit")'),
    "a-time-zone": "import zoneinfo\nzoneinfo.ZoneInfo('Europe/Vienna')\n" + GOOD,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The problems of each of the files above, by name."""
    folder = tmp_path_factory.mktemp("dags")
    texts = {name: f"{code}\n{GOOD}" for name, (code, _) in IO.items()}
    texts |= {name: code for name, (code, _) in BROKEN.items()} | FINE
    for name, text in texts.items():
        code = (
            text
            if name == "syntax-error"
            else HEAD + text.replace("{name}", name).replace("{{", "{").replace("}}", "}")
        )
        (folder / f"{name}.py").write_text(code)
    reports = inspect(sorted(folder.glob("*.py")))
    return {file.stem: problems(report) for file, report in reports.items()}


@pytest.mark.parametrize("name", IO)
def test_input_and_output_at_the_top_level_is_refused(name: str, found: dict[str, list[str]]) -> None:
    expected = f"{name}.py:"
    assert any(IO[name][1] in problem and expected in problem for problem in found[name]), found[name]


@pytest.mark.parametrize("name", BROKEN)
def test_a_dag_that_breaks_a_rule_is_refused(name: str, found: dict[str, list[str]]) -> None:
    assert any(BROKEN[name][1] in problem for problem in found[name]), found[name]


@pytest.mark.parametrize("name", FINE)
def test_a_dag_that_keeps_the_rules_passes(name: str, found: dict[str, list[str]]) -> None:
    assert found[name] == []


def test_a_file_that_was_refused_writing_has_not_written(found: dict[str, list[str]]) -> None:
    assert found["writes-a-file"]
    assert not Path("/tmp/written-by-a-dag-file").exists()
    assert not Path("/tmp/made-by-a-dag-file").exists()


def test_two_dags_with_one_id_are_named() -> None:
    report = {"dags": [{"dag_id": "twice"}]}
    other = {"dags": [{"dag_id": "once"}]}
    assert doubled_ids({Path("a.py"): report, Path("b.py"): report, Path("c.py"): other}) == ["twice"]
