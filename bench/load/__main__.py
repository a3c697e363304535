"""`make load`: 240 DAGs with 5,400 tasks by LocalExecutor, CeleryExecutor and `airflow standalone`; a year of backfill.

Each on a cluster of its own that begins empty and is taken down afterwards, also when interrupted. It takes the whole
machine: what else runs there counts. Not part of any test; tests/cluster/test_platform_load.py runs a short form.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load.backfill import DAYS, SAMPLES, Year, a_year, percentile
from bench.load.standalone import standalone
from bench.load.usage import Usage, cluster_name
from bench.load.work import DAY, Counted, Size, first_tries, work_off
from ops.airflow_api import AirflowApi
from testbed.progress import Failure, Progress
from tests.cluster.platform import Platform

DEADLINE_SECONDS = 1800
"""For the tasks of one executor."""
EXECUTORS = ("standalone", "LocalExecutor", "CeleryExecutor")
LANE = {"replicas": 1, "concurrency": 2}


def local(config: dict[str, Any]) -> None:
    """The stack `local`, with another executor and all else as it comes."""
    config["airflows"][0]["executor"] = "LocalExecutor"


def celery(config: dict[str, Any]) -> None:
    """Likewise; a lane for backfills has workers of its own."""
    queues = [{"name": "default"}, {"name": "backfill", **LANE}]
    config["airflows"][0] |= {"executor": "CeleryExecutor", "celery": {"queues": queues}, "backfill": {}}


@contextmanager
def stack(size: Size) -> Iterator[Platform]:
    """A cluster with nothing on it, and a stack that is not deployed yet."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        platform = Platform(Path(folder))
        size.write(platform.source / "dags-image" / "dags")
        try:
            platform.remove()
            platform.cluster.up()
            yield platform
        except BaseException:
            print(platform.output.getvalue()[-4000:], file=sys.stderr)
            raise
        finally:
            # Who presses Ctrl-C twice would leave a cluster behind.
            with undisturbed():
                platform.remove()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let the block come to its end, whoever wants it to stop."""
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class Measurement:
    """What is asked for, and what has been found so far."""

    def __init__(self, size: Size, days: int, samples: int) -> None:
        self.size, self.days, self.samples = size, days, samples
        self.progress = Progress()
        self.counted: dict[str, Counted] = {}
        self.year: Year | None = None

    def run(self, which: str, with_year: bool) -> None:
        """One executor, from an empty cluster to an empty machine."""
        with stack(self.size) as platform:
            if which == "standalone":
                with standalone(platform) as api:
                    self._work_off(which, platform, api)
                return
            platform.change(local if which == "LocalExecutor" else celery)
            with self.progress.step(f"deploying Airflow with the {which}"):
                platform.up()
            with platform.airflow() as api:
                self._work_off(which, platform, api)
                if with_year:
                    self._year(api)

    def _work_off(self, which: str, platform: Platform, api: AirflowApi) -> None:
        usages: list[Usage] = []

        def look(text: str) -> None:
            self.progress.note(text)
            if not usages:  # the work begins now: what it took to read the DAGs is no part of it
                usages.append(Usage(cluster_name(platform.cluster), platform.api_client()))
            usages[0].look()

        with self.progress.step(f"{which}: {self.size.dags} DAGs, {self.size.tasks} tasks"):
            self.counted[which] = work_off(api, self.size, DEADLINE_SECONDS, look)
        if not self.counted[which].is_whole(self.size):
            print("\n".join(first_tries(api)))
        for usage in usages:
            self._say(which, usage)

    def _say(self, which: str, usage: Usage) -> None:
        print(f"\n{which}: {usage.busy():.2f} cores busy on average; of these, by pod:")
        done = self.counted[which].at_first_try or 1
        for part, seconds, peak in usage.rows():
            print(f"  {part:20}{seconds:8.1f} s of CPU {1000 * seconds / done:6.0f} ms a task {peak:6} MiB at most")
        print(flush=True)

    def _year(self, api: AirflowApi) -> None:
        with self.progress.step(f"{self.days} days of backfill beside today's run"):
            self.year = a_year(api, self.days, self.samples, look=self.progress.note)

    def table(self) -> Iterator[str]:
        """What was found, for people."""
        yield f"{'':16}{'runs':>6}{'tasks':>7}{'seconds':>9}{'tasks/s':>9}{'failed':>8}{'tries > 1':>11}"
        for which, found in self.counted.items():
            yield (
                f"{which:16}{found.succeeded:6}{found.tasks:7}{found.seconds:9.0f}{found.rate:9.2f}{found.failed:8}"
                f"{found.more_tries:11}" + ("" if found.is_whole(self.size) else "   not all of them succeeded")
            )
        if year := self.year:
            yield (
                f"a year of backfill: {year.succeeded} of {year.days} days in {year.seconds:.0f} s, {year.failed} "
                f"failed, {year.outside_lane} tasks outside of the lane"
            )
            for name, delays in (("idle", year.idle), ("beside it", year.beside)):
                yield (
                    f"today's run, {name:10} {len(delays.ended):3} runs: first task after "
                    f"{percentile(delays.begun, 50):.1f} s (p95 {percentile(delays.begun, 95):.1f}), ended after "
                    f"{percentile(delays.ended, 50):.1f} s (p95 {delays.p95:.1f})"
                )
            yield f"p95 beside the backfill is {year.ratio:.2f} of the idle one; at most 2 is wanted"


def main(arguments: list[str]) -> int:
    """Measure, print, and say by the exit code whether all of it went well."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--only", default="", help=f"of {', '.join(EXECUTORS)} and backfill, by commas")
    parser.add_argument("--dags", type=int, default=DAY.dags, help="how many, one run each")
    parser.add_argument("--tasks", type=int, default=DAY.tasks, help="in all of them together")
    parser.add_argument("--days", type=int, default=DAYS, help="of the backfill")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of today's run, without and beside the backfill")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    only = set(asked.only.split(",")) - {""} or {*EXECUTORS, "backfill"}
    if unknown := only - {*EXECUTORS, "backfill"}:
        parser.error(f"no such thing to measure: {', '.join(sorted(unknown))}")
    measurement = Measurement(Size(asked.dags, asked.tasks), asked.days, asked.samples)
    began = time.monotonic()
    try:
        for which in EXECUTORS:
            with_year = which == "CeleryExecutor" and "backfill" in only
            if which in only or with_year:
                measurement.run(which, with_year)
    except (Failure, AssertionError) as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        print("\n" + "\n".join(measurement.table()))
        print(f"measured in {(time.monotonic() - began) / 60:.0f} min")
    whole = all(found.is_whole(measurement.size) for found in measurement.counted.values())
    return 0 if whole and (measurement.year is None or measurement.year.ratio <= 2) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
