"""For DAGs: a task's kind of pod by name, ``@task(executor_config=shape("large"))``.

Which names there are is said by ``taskShapes`` in the stack file. Tasks without one have the default pod.
"""

from pathlib import Path

FOLDER = Path("/opt/airflow/platform")


def shape(name: str, folder: Path = FOLDER) -> dict[str, str]:
    """The ``executor_config`` for a task of the shape ``name``.

    Nothing special where the Airflow has no shapes at all (on a laptop, in a small stack). Where it has some, a name
    that is none of them is a ValueError, which shows as the DAG's import error.
    """
    known = {file.name.removeprefix("shape-").removesuffix(".yaml") for file in folder.glob("shape-*.yaml")}
    if not known:
        return {}
    if name not in known:
        raise ValueError(
            f"there is no task shape '{name}': taskShapes in the stack file has {', '.join(sorted(known))}"
        )
    return {"pod_template_file": str(folder / f"shape-{name}.yaml")}
