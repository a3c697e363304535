"""How the CronJobs of the platform went: the latest run of each, from what Kubernetes keeps of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

JobName = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True)
class CronState:
    """One CronJob. ``problem`` is what is wrong with its latest run that has ended; None if nothing is."""

    namespace: str
    name: str
    schedule: str
    last_success: datetime | None
    problem: str | None
    suspended: bool = False

    @property
    def text(self) -> str:
        """In a few words."""
        succeeded = f"last success {self.last_success:%Y-%m-%d %H:%M} UTC" if self.last_success else "no success yet"
        states = ["suspended"] if self.suspended else []
        return "; ".join([*states, *(["failed"] if self.problem else []), succeeded])


def cron_states(cron_jobs: Iterable[Any], jobs: Sequence[Any], said: Mapping[JobName, str | None]) -> list[CronState]:
    """The state of each of ``cron_jobs``, in the order of their names.

    ``jobs`` are all Jobs, whoever made them. ``said``: what a pod of a Job said when it failed.
    """
    found: list[CronState] = []
    for cron in cron_jobs:
        own = [job for job in jobs if _maker(job) == cron.metadata.uid]
        failures = [failure for job in own if (failure := _failure(job)) is not None]
        success = cron.status.last_successful_time if cron.status else None
        latest = max(failures, key=lambda failure: failure[0], default=None)
        problem = None
        if latest and (success is None or latest[0] > success):
            when, job, reason = latest
            text = said.get((cron.metadata.namespace, job)) or reason
            problem = (
                f"failed at {when:%Y-%m-%d %H:%M} UTC: {text}. See: kubectl logs --namespace={cron.metadata.namespace} "
                f"job/{job}"
            )
        name = cron.metadata.name
        found.append(
            CronState(cron.metadata.namespace, name, cron.spec.schedule, success, problem, bool(cron.spec.suspend))
        )
    return sorted(found, key=lambda state: (state.namespace, state.name))


def runs_of_cron_jobs(jobs: Iterable[Any]) -> set[JobName]:
    """Those of ``jobs`` that a CronJob has made."""
    return {(job.metadata.namespace, job.metadata.name) for job in jobs if _maker(job) is not None}


def made_by(pod: Any) -> JobName | None:
    """The Job that ``pod`` belongs to."""
    for owner in pod.metadata.owner_references or []:
        if owner.kind == "Job":
            return pod.metadata.namespace, owner.name
    return None


def _maker(job: Any) -> str | None:
    """The uid of the CronJob that made ``job``."""
    return next((owner.uid for owner in job.metadata.owner_references or [] if owner.kind == "CronJob"), None)


def _failure(job: Any) -> tuple[datetime, str, str] | None:
    for condition in job.status.conditions or []:
        if condition.type == "Failed" and condition.status == "True":
            return condition.last_transition_time, job.metadata.name, condition.message or condition.reason
    return None
