"""The mend of Airflow's task supervisor, with the real supervisor and a real process of a task."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import mend_airflow

SOURCE = Path(str(importlib.metadata.distribution(mend_airflow.PACKAGE).locate_file(mend_airflow.MODULE)))
# A task's process whose sockets are all closed half a second before it ends, as it goes by chance on a busy machine.
WAIT = """
import os, sys, time
from pathlib import Path
from unittest.mock import MagicMock
from uuid import uuid4
from airflow.sdk.execution_time import supervisor

exec(compile(Path(sys.argv[1]).read_text(), supervisor.__file__, "exec"), supervisor.__dict__)

def ends_late():
    os.closerange(0, 256)
    time.sleep(0.5)
    os._exit(0)

start = supervisor.WatchedSubprocess.start.__func__
began = time.monotonic()
watched = start(supervisor.ActivitySubprocess, id=uuid4(), client=MagicMock(), target=ends_late)
# As if it had just sent one: the next heartbeat is five seconds away.
watched._last_heartbeat_attempt = watched._last_successful_heartbeat = began
watched._monitor_subprocess()
print(time.monotonic() - began)
assert watched._exit_code == 0
"""


def seconds_until_noticed(source: Path) -> float:
    done = subprocess.run([sys.executable, "-c", WAIT, str(source)], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.split()[-1]))


def test_a_tasks_end_is_noticed_at_once_with_the_mend_and_seconds_late_without(tmp_path: Path) -> None:
    after = mend_airflow.mended(SOURCE.read_text(encoding="utf-8"))
    assert after is not None, f"{SOURCE} is of another Airflow: does it still need the mend?"
    mended = tmp_path / "supervisor.py"
    mended.write_text(after, encoding="utf-8")
    assert seconds_until_noticed(mended) < 2.5
    assert seconds_until_noticed(SOURCE) >= 4, "Airflow does it by itself now: take the mend out"


def test_an_airflow_that_reads_otherwise_is_left_alone() -> None:
    assert mend_airflow.mended("something else") is None
    twice = mend_airflow.BEFORE * 2
    assert mend_airflow.mended(twice) is None
