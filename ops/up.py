"""`make up`: everything that the stack needs, then the stack, then a DAG run as proof, then what to know."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.celery import scales_by_cpu
from infra.settings import AirflowState
from ops.airflow_api import AirflowApi
from ops.cluster_view import ClusterView
from ops.engine import engine_on
from ops.kubeconfig import save_kubeconfig
from ops.memory import mebi, memory_of
from ops.reach import enter, port_forward_command, save_authority
from ops.stack_file import ROOT
from ops.target import Target, with_images
from testbed.cluster import keda
from testbed.progress import Failure, Progress

PROOF = "example_sales_report"


def up(chosen: Target, progress: Progress, dag: str | None = None, source: Path = ROOT) -> None:
    """Bring a stack up and show that it works by a run of ``dag`` in its first Airflow.

    ``source`` holds ``dags-image/``. Without ``dag`` it is an example on the testbed; elsewhere nothing is run. Where
    nothing changed and the last run succeeded there is nothing to prove.
    """
    began = time.monotonic()
    if chosen.testbed:
        chosen.testbed.up()
        if scales_by_cpu(chosen.settings):
            chosen.testbed.serve_metrics()
        if chosen.settings.cluster.keda_namespace == keda.NAMESPACE:
            keda.install(chosen.testbed, progress)
    chosen = with_images(chosen, progress, source)
    with engine_on(chosen, progress) as engine, progress.step(f"pulumi up, stack {chosen.name}"):
        outcome = engine.up()
    progress.say(f"  {outcome}")
    save_kubeconfig(chosen, outcome.outputs)
    save_authority(chosen, outcome.outputs)
    airflows = outcome.outputs["airflows"]
    dag = dag or (PROOF if chosen.testbed else None)
    running = [name for name, airflow in airflows.items() if airflow["state"] == AirflowState.ACTIVE]
    run = (
        _proof(chosen, running[0], airflows[running[0]], dag, outcome.changed > 0, progress)
        if dag and running
        else None
    )
    seconds = time.monotonic() - began
    print(summary(chosen, airflows, run, seconds, memory_of(chosen)))


def _proof(
    chosen: Target, name: str, first: dict[str, Any], dag: str, changed: bool, progress: Progress
) -> dict[str, Any]:
    login = ClusterView(chosen).secret(first["namespace"], first["adminSecret"])
    with enter(chosen, name) as door:
        api = AirflowApi(door, login["username"], login["password"])
        api.log_in()
        run = None if changed else api.latest_run(dag)
        if run is None or run["state"] != "success":
            with progress.step(f"a run of the DAG {dag}, through the REST API"):
                run = prove(api, dag, progress)
    return run


def prove(api: AirflowApi, dag: str, progress: Progress) -> dict[str, Any]:
    """A run of ``dag`` that has succeeded. Raises Failure with the end of the log of what failed."""
    api.wait_for_dag(dag)
    run_id = api.trigger(dag)
    run = api.wait_for_run(dag, run_id, note=progress.note)
    if run["state"] != "success":
        failed = [task for task in api.tasks(dag, run_id) if task["state"] == "failed"]
        shown = "\n".join(f"  {line}" for task in failed[:1] for line in api.log(dag, run_id, task)[-15:])
        names = ", ".join(task["task_id"] for task in failed)
        raise Failure(f"run {run_id} of {dag} ended as {run['state']}; failed tasks: {names}\n{shown}")
    return run


def summary(
    chosen: Target, airflows: dict[str, Any], run: dict[str, Any] | None, seconds: float, memory: Mapping[str, int]
) -> str:
    """What a person wants to know of a stack that has just come up. ``memory``: of its pods in bytes, by namespace."""
    lines = ["", f"Stack {chosen.name} is up ({seconds:.0f} s)."]
    for name, airflow in airflows.items():
        lines += ["", f"  Airflow {name}"]
        if airflow["state"] == AirflowState.RETIRED:
            lines.append("    retired: nothing of it runs; its entry may be removed (docs/teams.md)")
            continue
        if chosen.testbed:
            with enter(chosen, name) as door:
                lines.append(f"    URL        {door.url}")
            if door.authority:
                lines.append(f"    authority  {door.authority} (for browsers and clients to trust: docs/ingress.md)")
        elif airflow.get("address"):
            lines.append(f"    URL        {airflow['address']}")
        else:
            lines.append(
                f"    URL        http://127.0.0.1:8080 after: "
                f"{' '.join(port_forward_command(chosen, airflow['namespace'], '8080'))}"
            )
        lines += [
            f"    user       {airflow['adminUser']}",
            f"    password   make password STACK={chosen.name} AIRFLOW={name}",
            f"    DAGs       version {airflow['dagsVersion']}",
        ]
    if memory:
        parts = ", ".join(f"{namespace} {mebi(used)}" for namespace, used in memory.items())
        lines += ["", f"  Memory of its pods: {mebi(sum(memory.values()))} ({parts})"]
    if run is None:
        return "\n".join([*lines, "", f"  Next: open a URL; `make status STACK={chosen.name}`."])
    lines += [
        "",
        f"  DAG run {run['dag_id']} {run['dag_run_id']}: {run['state']} in {run['duration']:.1f} s",
        "",
        "  Next: open the URL; change a DAG in dags-image/dags and `make up` again; `make status`; `make down`.",
    ]
    return "\n".join(lines)
