"""What must not happen to an Airflow by an edit of the stack file: being removed or renamed without a word.

Found out before anything is deployed, from what the stack said of itself when it was last brought up.
"""

from collections.abc import Mapping
from typing import Any

from infra.settings import AirflowState, Settings
from testbed.progress import Failure


def refuse_departures(stack: str, outputs: Mapping[str, Any], settings: Settings) -> None:
    """Raises Failure where an Airflow that the ``stack`` has is not in its ``settings`` and was not retired first.

    ``outputs`` are the stack's. Where everything may be thrown away, an Airflow may simply be removed; but nowhere may
    it be removed while another one appears: that is how a rename looks.
    """
    known: Mapping[str, Any] = outputs.get("airflows") or {}
    asked = [airflow.name for airflow in settings.airflows]
    gone = [name for name, one in known.items() if name not in asked and one.get("state") != AirflowState.RETIRED]
    new = [name for name in asked if name not in known]
    if not gone or (settings.ephemeral and not new):
        return
    if new:
        step = "remove it first" if settings.ephemeral else "retire it first (docs/teams.md)"
        raise Failure(
            f"stack {stack}: airflows: {_listed(gone)} {_is(gone)} there and no longer in the stack file, which has "
            f"{_listed(new)} instead. An Airflow can't be renamed: {_listed(new)} would be new and empty. Nothing was "
            f"changed.\nMend: keep the name; or, if {_listed(new)} {_is(new)} meant to be new, put {_listed(gone)} "
            f"back into the stack file, {step}, and add the other then."
        )
    raise Failure(
        f"stack {stack}: airflows: {_listed(gone)} {_is(gone)} there and no longer in the stack file. An Airflow "
        "leaves in two steps. Nothing was changed.\nMend: put the entry back with `state: retired` and bring the stack "
        "up, which stops it and exports its database. Then remove the entry (docs/teams.md)."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
