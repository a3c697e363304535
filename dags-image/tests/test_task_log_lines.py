"""Lines of task logs on standard output: as Airflow's own supervisor and triggerer write them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow_platform_logs.identity import Try, log_id
from airflow_platform_logs.lines import MOST_BYTES, line
from conftest import HERE

TRY = "dag_id=d.one/run_id=manual__2026-01-01T00:00:00+00:00/task_id=group.load-x"
ID = "d.one-group.load-x-manual__2026-01-01T00:00:00+00:00"

SUPERVISED = """
import json, sys
from airflow.sdk.log import configure_logging
configure_logging(output=sys.stdout.buffer, json_output=True)
from airflow.sdk.execution_time import supervisor
from airflow.sdk.log import upload_to_remote

logger, file = supervisor._configure_logging(sys.argv[1], None)
targets = (logger, supervisor.log)
from_task = supervisor.process_log_messages_from_subprocess(targets)
printed = supervisor.forward_to_log(targets, logger="task.stdout", level=20)
next(from_task), next(printed)
for number in range(3):
    event = {"timestamp": "2026-01-01T00:00:00.5Z", "level": "info", "event": f"structured {number}", "logger": "mine"}
    from_task.send(json.dumps({**event, "offset": 7, "nested": {"a": [1]}}).encode())
    printed.send(f"printed {number} \\u00fc".encode() + b"\\n")
printed.send(b"not utf-8: \\xff\\n")
supervisor.log.info("Workload finished")
upload_to_remote(logger, object())
file.close()
"""


def supervised(tmp_path: Path, name: str, **variables: str) -> tuple[list[dict[str, Any]], Path]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(HERE.parent),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": "airflow_platform_logs.config.LOGGING_CONFIG",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", SUPERVISED, name], env=environment, check=True, capture_output=True, text=True
    )
    return [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")], tmp_path / "logs" / name


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    return supervised(tmp_path_factory.mktemp("task"), f"{TRY}/attempt=2.log")


def test_each_event_is_printed_once_as_it_happens_with_its_id_and_a_growing_offset(
    printed: tuple[list[dict[str, Any]], Path],
) -> None:
    lines, file = printed
    own = [one for one in lines if "log_id" in one]
    assert [one["event"] for one in own] == [
        *("structured 0", "printed 0 ü", "structured 1", "printed 1 ü", "structured 2", "printed 2 ü"),
        "not utf-8: \ufffd",
    ]
    assert {one["log_id"] for one in own} == {f"{ID}--1-2"}
    offsets = [one["offset"] for one in own]
    assert offsets == sorted(set(offsets))
    assert own[0] | {"offset": 0} == {
        "timestamp": "2026-01-01T00:00:00.500000Z",
        "level": "info",
        "event": "structured 0",
        "logger": "mine",
        "nested": {"a": [1]},
        "offset_": 7,
        "dag_id": "d.one",
        "task_id": "group.load-x",
        "log_id": f"{ID}--1-2",
        "offset": 0,
    }
    assert file.exists()


def test_what_the_supervisor_prints_a_second_time_is_dropped_and_its_own_lines_stay(
    printed: tuple[list[dict[str, Any]], Path],
) -> None:
    lines, _ = printed
    assert "Workload finished" in [one["event"] for one in lines]
    assert not [one for one in lines if "log_id" not in one and one["event"].startswith(("structured", "printed"))]


def test_logs_that_are_no_tasks_are_left_alone(tmp_path: Path) -> None:
    lines, _ = supervised(tmp_path, "dag_processor/dags/one.py.log")
    assert [one["event"] for one in lines if one["event"].startswith("structured")] == [
        f"structured {number}" for number in range(3)
    ]
    assert not [one for one in lines if "log_id" in one]


def test_the_local_copy_goes_at_the_end_where_it_is_not_wanted(tmp_path: Path) -> None:
    _, file = supervised(tmp_path, f"{TRY}/attempt=1.log", AIRFLOW__LOGGING__DELETE_LOCAL_LOGS="True")
    assert not file.exists()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{TRY}/attempt=1.log", f"{ID}--1-1"),
        (f"{TRY}/map_index=0/attempt=13.log", f"{ID}-0-13"),
        (f"{TRY}/attempt=1.log.trigger.4.log", f"{ID}--1-1"),
        ("dag_processor/dag_id=a.log", None),
        (f"{TRY}/attempt=1.log.old", None),
    ],
)
def test_the_id_is_read_from_the_files_name(path: str, expected: str | None) -> None:
    assert log_id(path) == expected


def test_a_line_too_long_loses_its_end_and_says_how_much() -> None:
    made = line(
        Try("id", "dag", "task"), 1, {"timestamp": "t", "level": "info", "event": "ä" * MOST_BYTES, "more": "x"}
    )
    assert len(made) <= MOST_BYTES
    read = json.loads(made)
    assert read["event"].endswith("[cut: the line was too long]")
    assert read["cut_bytes"] > MOST_BYTES
    assert (read["log_id"], read["offset"]) == ("id", 1)


@pytest.mark.parametrize("event", ["\ud800 alone", {"a": 1}, ["x"], None, "two\nlines"])
def test_whatever_is_logged_becomes_one_line_with_a_text(event: object) -> None:
    made = line(
        Try("id", "dag", "task"), 1, {"timestamp": "t", "level": "info", "event": event, "odd": {"\udfff": object()}}
    )
    assert made.count(b"\n") == 1
    assert isinstance(json.loads(made)["event"], str)


def test_long_lines_of_tasks_side_by_side_stay_whole(tmp_path: Path) -> None:
    script = (
        "import os, sys; from airflow_platform_logs.lines import StdoutLines\n"
        "folder = sys.argv[1]; name = sys.argv[2]\n"
        "class Logger: pass\n"
        "Logger._file = type('File', (), {'name': f'{folder}/dag_id=a/run_id=b/task_id={name}/attempt=1.log'})\n"
        "lines = StdoutLines(folder)\n"
        "for number in range(200): lines(Logger, 'info', {'event': name * 20000, 'number': number})\n"
    )
    environment = {"PYTHONPATH": str(HERE.parent), "PATH": "/usr/bin:/bin"}
    reading, writing = os.pipe()
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name], stdout=writing, env=environment)
        for name in "xyz"
    ]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        read = [json.loads(text) for text in pipe]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(read) == 600
    assert all(len(one["event"]) == 20000 and len(set(one["event"])) == 1 for one in read)
