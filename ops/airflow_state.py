"""What an Airflow itself knows to be wrong: DAG files that do not import, tasks that wait in a queue nobody serves."""

from infra.settings import AirflowState, Executor
from ops.airflow_api import AirflowApi
from ops.cluster_view import ClusterView
from ops.queues import MOST, explain
from ops.reach import reach
from ops.target import Target
from testbed.progress import Failure

ANSWER_SECONDS = 10
SHOWN_FILES = 10


def airflow_problems(chosen: Target, view: ClusterView) -> list[str]:
    """A line for each thing that is wrong, of every Airflow that runs."""
    found: list[str] = []
    for airflow in chosen.settings.airflows:
        if airflow.state is AirflowState.RETIRED:
            continue
        namespace = f"airflow-{airflow.name}"
        try:
            login = view.secret(namespace, "admin")
            with reach(chosen, namespace) as url:
                api = AirflowApi(url, login["username"], login["password"])
                api.log_in(ANSWER_SECONDS)
                found += import_problems(namespace, api.import_errors())
                if Executor.CELERY in airflow.executor:
                    waiting = api.get(f"/dags/~/dagRuns/~/taskInstances?state=queued&limit={MOST}")["task_instances"]
                    found += explain(airflow, waiting)
        except (Failure, OSError) as error:
            found.append(f"{namespace}: what it knows of its DAGs and queues can't be asked for: {error}")
    return found


def import_problems(namespace: str, errors: dict[str, str]) -> list[str]:
    """The lines for the DAG files that do not import: ``errors`` by file."""
    lines = [
        f"{namespace}: the DAG file {file} does not import: {error}. Its DAGs start nothing until it does; those of "
        "all other files go on. Mend: correct it (`make dags-test` finds such errors first)"
        for file, error in sorted(errors.items())[:SHOWN_FILES]
    ]
    more = len(errors) - len(lines)
    return [*lines, f"{namespace}: {more} more DAG files do not import"] if more > 0 else lines
