"""What a year of backfill does to today's run: from its request to its end, without the backfill and beside it."""

import math
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.work import PATIENCE_SECONDS, moment, total
from ops.airflow_api import AirflowApi
from testbed.progress import Failure

DAG = "day_by_day"
DAYS = 365
SAMPLES = 20
EVERY_SECONDS = 10.0
LOCKED = 503
RUNS_AT_ONCE = 10
"""Of the backfill: what `airflow backfill create` takes by default."""


@dataclass(frozen=True)
class Delays:
    """Of today's runs, in seconds from the request: until the first task began, and until the run had ended."""

    begun: tuple[float, ...]
    ended: tuple[float, ...]

    @property
    def p95(self) -> float:
        """The smallest of those that 95 of 100 runs ended within."""
        return percentile(self.ended, 95)


@dataclass(frozen=True)
class Year:
    """Days done and failed by the time when the samples were taken, or all of them; the delays without and beside."""

    idle: Delays
    beside: Delays
    days: int
    succeeded: int
    failed: int
    seconds: float
    outside_lane: int
    """Tasks of the backfill whose queue or pool is not `backfill`."""

    @property
    def ratio(self) -> float:
        """Today's p95 beside the backfill, in multiples of the idle one. At most 2 is wanted."""
        return self.beside.p95 / self.idle.p95


def percentile(values: tuple[float, ...], percent: int) -> float:
    """By nearest rank: a value that was measured."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def a_year(
    api: AirflowApi,
    days: int = DAYS,
    samples: int = SAMPLES,
    deadline_seconds: float = 1500,
    look: Callable[[str], None] = lambda _: None,
) -> Year:
    """Measure today's runs idle, then beside a backfill of ``days`` days before 2026, and wait for that to end."""
    api.wait_for_dag(DAG)
    api.patch(f"/dags/{DAG}", {"is_paused": False})
    end = time.monotonic() + deadline_seconds
    idle = _sampled(api, samples, lambda: True, look, end)
    began = time.monotonic()
    backfill = _create(api, days)
    try:
        beside = _sampled(api, samples, lambda: not _is_done(api, backfill), look, end)
        while not _is_done(api, backfill) and time.monotonic() < end:
            look(f"{_days(api, 'success')} of {days} days, {time.monotonic() - began:.0f} s")
            time.sleep(2)
    finally:
        if not _is_done(api, backfill):
            api.put(f"/backfills/{backfill}/cancel")
        api.patch(f"/dags/{DAG}", {"is_paused": True})
    lane = f"/dags/{DAG}/dagRuns/~/taskInstances?run_id_prefix_pattern=backfill__"
    return Year(
        idle=idle,
        beside=beside,
        days=days,
        succeeded=_days(api, "success"),
        failed=_days(api, "failed"),
        seconds=time.monotonic() - began,
        outside_lane=total(api, lane) - total(api, f"{lane}&queue=backfill&pool=backfill"),
    )


def _create(api: AirflowApi, days: int) -> int:
    first = time.gmtime(moment("2026-01-01T00:00:00+00:00") - days * 86400)
    body = {
        "dag_id": DAG,
        "from_date": time.strftime("%Y-%m-%dT00:00:00Z", first),
        "to_date": "2025-12-31T00:00:00Z",
        "max_active_runs": RUNS_AT_ONCE,
    }
    end = time.monotonic() + 60
    while True:
        try:
            return int(api.post("/backfills", body)["id"])
        except urllib.error.HTTPError as error:
            # The DAG's row was locked by the scheduler in that moment.
            if error.code != LOCKED or time.monotonic() > end:
                raise
        time.sleep(1)


def _is_done(api: AirflowApi, backfill: int) -> bool:
    return api.get(f"/backfills/{backfill}", PATIENCE_SECONDS)["completed_at"] is not None


def _days(api: AirflowApi, state: str) -> int:
    return total(api, f"/dags/{DAG}/dagRuns?run_type=backfill&state={state}")


def _sampled(
    api: AirflowApi, samples: int, wanted: Callable[[], bool], look: Callable[[str], None], end: float
) -> Delays:
    """Today's run, again and again, for as long as it is ``wanted``: only what ended meanwhile counts."""
    begun: list[float] = []
    ended: list[float] = []
    while len(ended) < samples and wanted() and time.monotonic() < end:
        next_one = time.monotonic() + EVERY_SECONDS
        run_id = api.trigger(DAG)
        run = api.wait_for_run(DAG, run_id, note=look)
        if run["state"] != "success":
            raise Failure(f"today's run {run_id} of {DAG}: {run['state']}.\nMend: look at its log.")
        if not wanted():
            break
        asked = moment(run["queued_at"])
        begun.append(min(moment(task["start_date"]) for task in api.tasks(DAG, run_id)) - asked)
        ended.append(moment(run["end_date"]) - asked)
        look(f"today's run {len(ended)} of {samples}: {ended[-1]:.1f} s")
        time.sleep(max(0.0, next_one - time.monotonic()))
    if not ended:
        raise Failure("no run of today's ended while it was to be measured.\nMend: more days, or more time.")
    return Delays(tuple(begun), tuple(ended))
