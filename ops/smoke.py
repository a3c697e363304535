"""`make smoke`: whether every Airflow of a stack answers, reads its DAGs, and runs one, through its own REST API."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.settings import AirflowState
from ops.airflow_api import AirflowApi
from ops.cluster_view import ClusterView
from ops.commands import command
from ops.reach import reach
from ops.stack_file import STACKS
from ops.target import Target, target
from ops.up import PROOF, prove
from testbed.progress import Failure, Progress

ADMIN_SECRET = "admin"  # noqa: S105 (a Secret's name)


def smoke(on: Target, airflow: str, dag: str, progress: Progress) -> list[str]:
    """A run of ``dag`` in ``airflow`` (default: in every one that is active); a line for each.

    Raises Failure at the first that does not answer, has files that do not import, or whose run fails.
    """
    if airflow:
        on.airflow_named(airflow)
    chosen = [
        one.name
        for one in on.settings.airflows
        if one.state is AirflowState.ACTIVE and (not airflow or one.name == airflow)
    ]
    lines: list[str] = []
    for name in chosen:
        namespace = f"airflow-{name}"
        login = ClusterView(on).secret(namespace, ADMIN_SECRET)
        with reach(on, namespace) as url, progress.step(f"{dag} in Airflow {name}"):
            api = AirflowApi(url, login["username"], login["password"])
            api.log_in()
            if broken := api.import_errors():
                listed = "".join(f"\n  - {file}: {error}" for file, error in broken.items())
                raise Failure(
                    f"Airflow {name}: these files do not import:{listed}\nMend: correct them and deploy again."
                )
            run = prove(api, dag, progress)
        lines.append(f"Airflow {name}: {dag} {run['dag_run_id']}: {run['state']} in {run['duration']:.1f} s")
    return lines


@command
def main(arguments: Sequence[str]) -> int:
    """Print what ran; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops.smoke", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--airflow", default="")
    parser.add_argument("--dag", default="")
    parser.add_argument("--stacks", type=Path, default=STACKS)
    chosen = parser.parse_args(arguments)
    progress = Progress()
    on = target(chosen.stack, progress, chosen.stacks)
    print("\n".join(smoke(on, chosen.airflow, chosen.dag or PROOF, progress)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
