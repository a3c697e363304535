"""`make status`: is it up, what does it use, what is wrong."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from infra.settings import AirflowState
from ops.airflow_state import airflow_problems
from ops.alerts import firing_alerts
from ops.cluster_view import ClusterView, trouble
from ops.cron_state import CronState, cron_states, made_by, runs_of_cron_jobs
from ops.logs import log_problems
from ops.memory import by_namespace, mebi
from ops.reach import enter
from ops.repositories import repository_problems
from ops.routes import route_problems
from ops.target import Target
from ops.way_in import way_in_problems


def status(chosen: Target) -> bool:
    """Print the state of a stack; True if nothing is wrong."""
    view = ClusterView(chosen)
    jobs, every_pod = view.jobs(), view.pods()
    by_cron = runs_of_cron_jobs(jobs)
    failed = {job: pod for pod in every_pod if (job := made_by(pod)) in by_cron and pod.status.phase == "Failed"}
    # Of what runs now and then, the CronJob says how it went: a pod that failed stays long after a later one did not.
    pods = [pod for pod in every_pod if made_by(pod) not in by_cron or pod.status.phase != "Failed"]
    crons = cron_states(view.cron_jobs(), jobs, {job: trouble(pod) for job, pod in failed.items()})
    memory = chosen.testbed.pod_memory() if chosen.testbed else {}
    print(f"Stack {chosen.name}, cluster {chosen.context}")
    wrong = _print_parts(pods, crons, memory)
    if memory:
        total = sum(by_namespace(memory, pods).values())
        print(f"\n  memory of all pods together, database included: {mebi(total)}")
    if chosen.testbed:
        for airflow in chosen.settings.airflows:
            with enter(chosen, airflow.name) as door:
                print(f"  Airflow {airflow.name}: {door.url}")
    if pods:
        wrong += [*repository_problems(chosen, view, pods), *airflow_problems(chosen, view)]
        wrong += [*_stopped(chosen, view), *way_in_problems(chosen, view), *route_problems(chosen, view)]
        wrong += log_problems(chosen, view)
        wrong += firing_alerts(chosen)
    else:
        wrong.append(f"nothing of the platform runs here. Mend: `make up STACK={chosen.name}`")
    for line in wrong:
        print(f"  wrong: {line}")
    if not wrong:
        print("  nothing is wrong")
    return not wrong


def _stopped(chosen: Target, view: ClusterView) -> list[str]:
    """Parts that somebody took to no pod: a migration that failed half-way, or a person."""
    active = {f"airflow-{one.name}" for one in chosen.settings.airflows if one.state is AirflowState.ACTIVE}
    return [
        f"{one.metadata.namespace}/{one.metadata.name}: stopped, to have no pod. Mend: if an upgrade failed, as it "
        f"said (docs/upgrades.md); else `kubectl scale deployment {one.metadata.name} --namespace "
        f"{one.metadata.namespace} --replicas 1`, or whatever the size says"
        for one in view.deployments()
        if one.metadata.namespace in active and one.spec.replicas == 0
    ]


def _print_parts(pods: Sequence[Any], crons: Sequence[CronState], memory: Mapping[tuple[str, str], int]) -> list[str]:
    """Print pods and CronJobs by namespace; returns what is wrong with them."""
    by_namespace: dict[str, list[Any]] = defaultdict(list)
    for pod in pods:
        by_namespace[pod.metadata.namespace].append(pod)
    wrong: list[str] = []
    for namespace, members in sorted(by_namespace.items()):
        print(f"\n  {namespace}")
        for pod in sorted(members, key=lambda member: str(member.metadata.name)):
            if pod.status.phase == "Succeeded":
                continue
            used = memory.get((namespace, pod.metadata.name))
            print(f"    {pod.metadata.name:44} {_state(pod):24} {_mebi(used):>9}")
            if problem := trouble(pod):
                wrong.append(f"{namespace}/{pod.metadata.name}: {problem}")
        for cron in crons:
            if cron.namespace == namespace:
                print(f"    {cron.name:44} {cron.text} ({cron.schedule})")
    return [*wrong, *(f"{cron.namespace}/{cron.name}: {cron.problem}" for cron in crons if cron.problem)]


def _state(pod: Any) -> str:
    statuses = pod.status.container_statuses or []
    ready = sum(1 for one in statuses if one.ready)
    restarts = sum(one.restart_count for one in statuses)
    again = f", {restarts} restarts" if restarts else ""
    return f"{pod.status.phase} {ready}/{len(statuses)}{again}"


def _mebi(used: int | None) -> str:
    return "" if used is None else mebi(used)
