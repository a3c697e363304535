"""What `make load` counts and how, without an Airflow."""

import pytest

from bench.load.backfill import Delays, percentile
from bench.load.work import DAY, Counted, Size


def counted(**changed: float) -> Counted:
    whole = {"runs": 2, "succeeded": 2, "tasks": 10, "at_first_try": 10, "more_tries": 0, "seconds": 5.0}
    return Counted(**{**whole, **changed})  # pyright: ignore[reportArgumentType]


def test_a_day_is_what_it_is_said_to_be() -> None:
    assert Size(240, 5400) == DAY


@pytest.mark.parametrize(
    "changed",
    [{"runs": 1}, {"succeeded": 1}, {"tasks": 9}, {"at_first_try": 9, "more_tries": 1}, {"at_first_try": 9}],
)
def test_only_all_runs_with_all_tasks_at_their_first_try_are_the_whole(changed: dict[str, float]) -> None:
    size = Size(dags=2, tasks=10)
    assert counted().is_whole(size)
    assert not counted(**changed).is_whole(size)


def test_what_did_not_succeed_is_failed_and_does_not_count_for_the_rate() -> None:
    found = counted(at_first_try=7, more_tries=1)
    assert (found.failed, found.rate) == (2, 8 / 5.0)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    twenty = tuple(float(number) for number in range(1, 21))
    assert percentile(twenty, 95) == 19
    assert percentile(twenty, 50) == 10
    assert percentile((3.0,), 95) == 3
    assert Delays(begun=(1.0,), ended=(5.0, 1.0)).p95 == 5
