"""What `make status` says of CronJobs, from what Kubernetes keeps of them."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ops.cron_state import cron_states, made_by, runs_of_cron_jobs


def moment(hour: int) -> datetime:
    return datetime(2026, 11, 24, hour, 0, tzinfo=UTC)


def cron(success: datetime | None, suspended: bool = False) -> Any:
    return SimpleNamespace(
        metadata=SimpleNamespace(namespace="airflow-main", name="db-clean", uid="u1"),
        spec=SimpleNamespace(schedule="5 3 * * *", suspend=suspended),
        status=SimpleNamespace(last_successful_time=success),
    )


def job(name: str, failed: datetime | None, owner: str = "u1") -> Any:
    reason = SimpleNamespace(
        type="Failed", status="True", last_transition_time=failed, message="backoff limit", reason="BackoffLimit"
    )
    return SimpleNamespace(
        metadata=SimpleNamespace(
            namespace="airflow-main", name=name, owner_references=[SimpleNamespace(kind="CronJob", uid=owner)]
        ),
        status=SimpleNamespace(conditions=[reason] if failed else []),
    )


def test_a_run_that_failed_after_the_last_success_is_wrong_and_says_what_its_pod_said() -> None:
    said = {("airflow-main", "db-clean-2"): "table xcom was not cleaned"}
    (state,) = cron_states([cron(moment(1))], [job("db-clean-1", None), job("db-clean-2", moment(3))], said)
    assert state.problem is not None
    assert "table xcom was not cleaned" in state.problem
    assert "kubectl logs --namespace=airflow-main job/db-clean-2" in state.problem
    assert state.text == "failed; last success 2026-11-24 01:00 UTC"


def test_a_failure_before_the_last_success_is_history() -> None:
    (state,) = cron_states([cron(moment(4))], [job("db-clean-2", moment(3))], {})
    assert (state.problem, state.text) == (None, "last success 2026-11-24 04:00 UTC")


def test_one_that_is_suspended_says_so() -> None:
    (state,) = cron_states([cron(moment(4), suspended=True)], [], {})
    assert state.text == "suspended; last success 2026-11-24 04:00 UTC"


def test_another_ones_failure_and_one_that_has_never_run_are_no_problem() -> None:
    (state,) = cron_states([cron(None)], [job("reconcile-1", moment(3), owner="u2")], {})
    assert (state.problem, state.text) == (None, "no success yet")


def test_a_pod_is_known_by_the_job_that_made_it() -> None:
    owner = SimpleNamespace(kind="Job", name="db-clean-2")
    pod = SimpleNamespace(metadata=SimpleNamespace(namespace="airflow-main", owner_references=[owner]))
    assert made_by(pod) in runs_of_cron_jobs([job("db-clean-2", None)])
    by_hand = SimpleNamespace(metadata=SimpleNamespace(namespace="airflow-main", name="x", owner_references=None))
    assert runs_of_cron_jobs([by_hand]) == set()
