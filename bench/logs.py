"""`python -m bench.logs`: lines a second through the whole log pipeline, for minutes. Needs fluentd on PATH, and root.

Four tasks at once print lines at a steady rate; fluentd takes them to the testbed's stand-in for Elasticsearch. Said in
the end: how many lines are there, how long after the last task's end the last one was, and what fluentd used. It takes
the whole machine: what else runs there counts. It asserts nothing.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.load.usage import Usage, cluster_name
from ops.airflow_api import AirflowApi
from testbed.images.recipes import FLUENTD
from testbed.progress import Failure, Progress
from tests.cluster.log_pipeline import DAG, Logged, own_logs
from tests.cluster.platform import Platform

TASKS = 4
WIDTH = 120
"""Of a line, about; what it takes with its fields is three times as much."""
PATIENCE_SECONDS = 600


def measure(logged: Logged, api: AirflowApi, rate: int, seconds: int, progress: Progress) -> Iterator[str]:
    """What was found, a line each."""
    usage = Usage(cluster_name(logged.platform.cluster), logged.platform.api_client())
    each = rate * seconds // TASKS
    runs = [api.trigger(DAG, {"lines": each, "width": WIDTH, "rate": rate / TASKS}) for _ in range(TASKS)]
    began = time.monotonic()
    states = dict.fromkeys(runs, "")
    with progress.step(f"{TASKS} tasks print {rate} lines a second for {seconds} s"):
        while not all(state in {"success", "failed"} for state in states.values()):
            if time.monotonic() - began > seconds + PATIENCE_SECONDS:
                raise Failure(f"the tasks have not ended: {states}")
            time.sleep(1)
            states = {run_id: api.run(DAG, run_id)["state"] for run_id in runs}
            usage.look()
    ended = time.monotonic()
    stored = 0
    with progress.step("waiting for the last line"):
        while stored < each * TASKS and time.monotonic() - ended < PATIENCE_SECONDS:
            stored = sum(logged.stored(run_id) for run_id in runs)
            usage.look()
    lag = time.monotonic() - ended
    yield f"{stored} of {each * TASKS} lines stored; the last {lag:.1f} s after the last task was seen to have ended"
    times = [run for run in (api.run(DAG, run_id) for run_id in runs) if run["state"] == "success"]
    yield f"{len(times)} of {TASKS} tasks succeeded, {ended - began:.0f} s after they were asked for"
    yield f"{logged.refused:.0f} lines refused"
    for part, cpu, peak in usage.rows():
        if part in {"fluentd", "elasticsearch", "scheduler"}:
            yield f"  {part:20}{cpu:8.1f} s of CPU {peak:6} MiB at most"
    yield f"{usage.busy():.2f} cores busy on average"


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.logs", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, help="lines a second, of all tasks together")
    parser.add_argument("--seconds", type=int, default=300, help="how long")
    asked = parser.parse_args(arguments)
    if not FLUENTD.has_real:
        print("fluentd is not on PATH, and no registry here serves its image: nothing is measured", file=sys.stderr)
        return 1
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="bench-logs-") as folder:
        platform = Platform(Path(folder))
        try:
            platform.remove()
            platform.cluster.up()
            platform.change(own_logs)
            with progress.step("deploying Airflow and its logs"):
                platform.up()
            with platform.airflow() as api:
                api.wait_for_dag(DAG)
                print("\n".join(measure(Logged(platform), api, asked.rate, asked.seconds, progress)))
        except (Failure, AssertionError) as failure:
            print(f"{failure}\n{platform.output.getvalue()[-4000:]}", file=sys.stderr)
            return 1
        finally:
            platform.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
