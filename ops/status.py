"""`make status`: is it up, what does it use, what is wrong."""

from collections import defaultdict
from typing import Any

from ops.cluster_view import ClusterView, trouble
from ops.reach import reach
from ops.target import Target

MEBI = 2**20


def status(chosen: Target) -> bool:
    """Print the state of a stack; True if nothing is wrong."""
    view = ClusterView(chosen)
    pods = view.pods()
    memory = chosen.testbed.pod_memory() if chosen.testbed else {}
    print(f"Stack {chosen.name}, cluster {chosen.context}")
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
    ours = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
    if memory:
        total = sum(used for pod, used in memory.items() if pod in ours)
        print(f"\n  memory of all pods together, database included: {_mebi(total)}")
    if chosen.testbed:
        for airflow in chosen.settings.airflows:
            with reach(chosen, f"airflow-{airflow.name}") as url:
                print(f"  Airflow {airflow.name}: {url}")
    if not pods:
        wrong.append(f"nothing of the platform runs here. Mend: `make up STACK={chosen.name}`")
    for line in wrong:
        print(f"  wrong: {line}")
    if not wrong:
        print("  nothing is wrong")
    return not wrong


def _state(pod: Any) -> str:
    statuses = pod.status.container_statuses or []
    ready = sum(1 for one in statuses if one.ready)
    restarts = sum(one.restart_count for one in statuses)
    again = f", {restarts} restarts" if restarts else ""
    return f"{pod.status.phase} {ready}/{len(statuses)}{again}"


def _mebi(used: int | None) -> str:
    return "" if used is None else f"{used / MEBI:.0f} MiB"
