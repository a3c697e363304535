"""`make recover`: an Airflow from a dump of its database and its Fernet keys, where all else is lost.

The stack comes up as with `make up`, but with the keys given; then the dump takes the place of the new database's
content; then everything in it that is encrypted is tried with the keys. What a failure leaves is said, and running the
command again starts over with the dump, until one run has come to its end.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.settings import PROJECT
from ops.airflow_api import AirflowApi
from ops.cluster_work import ClusterWork
from ops.database import Contents, DatabaseTools, database_tools, place_of
from ops.engine import engine_on
from ops.kubeconfig import save_kubeconfig
from ops.reach import reach, save_authority
from ops.recovery_inputs import Inputs, checked_inputs
from ops.stack_file import ROOT, STACKS
from ops.stack_key import keep_key
from ops.target import Target, target, with_images
from testbed.progress import Failure, Progress

MARK = "encrypted-rows:"
_ENCRYPTED_ROWS = Path(__file__).parent / "in_pods" / "encrypted_rows.py"


@dataclass(frozen=True)
class Restored:
    """What a restored database holds. ``encrypted`` values in it, of which the keys do not open ``closed``."""

    dag_runs: int
    connections: int
    variables: int
    encrypted: int
    closed: int
    closed_names: list[str]

    @property
    def closed_listed(self) -> str:
        """Those that don't open, by name; of many the first ones."""
        more = self.closed - len(self.closed_names)
        return ", ".join(self.closed_names) + (f" and {more} more" if more else "")


def recover(
    chosen: Target,
    airflow: str,
    dump: str,
    keys: str,
    progress: Progress,
    stacks: Path = STACKS,
    source: Path = ROOT,
) -> None:
    """Rebuild ``airflow`` (empty: the stack's first one) from the files ``dump`` and ``keys``.

    For a state that is empty or lacks this Airflow, and a database with nothing in it that counts: one that holds DAG
    runs, connections or variables is refused, unless they are an earlier recovery's that did not come to its end.
    Afterwards the keys are the stack's own (ops/stack_key.py). ``stacks`` holds the stack file, ``source`` dags-image/.
    """
    began = time.monotonic()
    inputs = checked_inputs(chosen, airflow, dump, keys)
    if chosen.testbed:
        chosen.testbed.up()
    present = _look(chosen, inputs, progress)
    stack_file = stacks / f"Pulumi.{chosen.name}.yaml"
    with engine_on(chosen, progress) as engine:
        changed = keep_key(engine, inputs, present, stack_file)
    chosen = with_images(target(chosen.name, progress, stacks), progress, source)
    with engine_on(chosen, progress) as engine, progress.step(f"pulumi up, stack {chosen.name}"):
        outcome = engine.up()
    progress.say(f"  {outcome}")
    save_kubeconfig(chosen, outcome.outputs)
    save_authority(chosen, outcome.outputs)
    restored = _Recovery(chosen, inputs, outcome.outputs["airflows"][inputs.airflow], progress).run()
    print(_summary(chosen, inputs, restored, stack_file if changed else None, time.monotonic() - began))
    if restored.closed:
        raise Failure(
            f"Airflow {inputs.airflow} runs, but {restored.closed} of {restored.encrypted} encrypted values do not "
            f"open with the keys in {inputs.keys_file}: {restored.closed_listed}.\nMend: if an older generation of the "
            f"key is kept, add it to the setting {inputs.secret} (newest first, separated by commas) and `make up "
            f"STACK={chosen.name}`; else enter those values anew."
        )


def _look(chosen: Target, inputs: Inputs, progress: Progress) -> str | None:
    """The Fernet key that the running Airflow has, None if none runs. Refuses one with something in its database.

    What can't be looked at yet, because there is no cluster or no server, is looked at again before it is replaced.
    """
    try:
        work = ClusterWork(chosen, progress)
        place = place_of(work, inputs.airflow)
        if place is None:
            return None
        with database_tools(work, place, progress) as tools:
            contents = tools.contents()
        key = work.secret(f"airflow-{inputs.airflow}", "airflow-keys").get("fernet-key")
    except Failure as failure:
        progress.say(f"  nothing to be seen of Airflow {inputs.airflow} yet: {str(failure).splitlines()[0]}")
        return None
    _refuse_to_replace(contents, chosen, inputs, "Nothing was changed.")
    return key


def _refuse_to_replace(contents: Contents, chosen: Target, inputs: Inputs, state: str) -> None:
    if contents.fresh:
        return
    kubectl = f"kubectl --context={chosen.context}" + (
        f" --kubeconfig={chosen.kubeconfig}" if chosen.kubeconfig else ""
    )
    raise Failure(
        f"the database of Airflow {inputs.airflow} is not fresh: {contents}. {state}\n"
        "Mend: if that is what you want to have back, no dump is needed: give the stack its key (pulumi config set "
        f"--secret --path '{PROJECT}:{inputs.secret}') and `make up STACK={chosen.name}`. If the dump is to take its "
        "place, keep what is there:\n"
        f"  make dump STACK={chosen.name} AIRFLOW={inputs.airflow} FILE=before.dump\n"
        f"empty it:\n  {kubectl} exec --namespace=airflow-{inputs.airflow} deployment/scheduler -- "
        "airflow db reset --yes\nand run the command again."
    )


class _Recovery:
    """What is done to an Airflow that `up` has just made, step by step; ``_state`` says how far it is."""

    def __init__(self, chosen: Target, inputs: Inputs, airflow: dict[str, Any], progress: Progress) -> None:
        self._chosen = chosen
        self._inputs = inputs
        self._airflow = airflow
        self._namespace: str = airflow["namespace"]
        self._progress = progress
        self._work = ClusterWork(chosen, progress)
        self._state = "The stack is up with the keys given; its database is as it was."

    def run(self) -> Restored:
        place = place_of(self._work, self._inputs.airflow)
        if place is None:
            raise Failure(
                f"the Job that made the database of Airflow {self._inputs.airflow} is gone from the cluster, and with "
                f"it the way there. {self._state}\nMend: `pulumi refresh` takes notice of that; run the command again."
            )
        with database_tools(self._work, place, self._progress) as tools:
            _refuse_to_replace(tools.contents(), self._chosen, self._inputs, self._state)
            try:
                return self._replace(tools)
            except Failure as failure:
                raise Failure(
                    f"{failure}\nAs it stands: {self._state}\nMend: correct what is named and run the same command "
                    "again: it starts over with the dump."
                ) from None

    def _replace(self, tools: DatabaseTools) -> Restored:
        name, step = self._inputs.airflow, self._progress.step
        with step(f"stopping Airflow {name}"):
            self._work.stop(self._namespace)
        self._state = f"Airflow {name} is stopped; its database is still fresh."
        with step(f"restoring {self._inputs.dump} into the database {tools.place.database}"):
            tools.restore(self._inputs.dump)
        self._state = f"Airflow {name} is stopped; its database holds the dump."
        with step("the migration, on the restored database"):
            # Without what the Job does around it: everything is stopped, and the dump is the backup.
            self._again("migrate", ["airflow", "db", "migrate"])
        with step("trying the keys on everything that is encrypted"):
            restored = self._try_keys()
        if restored.encrypted and restored.closed == restored.encrypted:
            raise Failure(
                f"KEYS: {self._inputs.keys_file} does not hold the keys of this dump: none of its {restored.encrypted} "
                f"encrypted values opens ({restored.closed_listed})."
            )
        with step("the administrator's present password, into the restored database"):
            self._again("create-admin")
        self._state = f"the database of Airflow {name} holds the dump; its parts are being started."
        with step(f"starting Airflow {name}"):
            self._work.start(self._namespace)
        with step("logging in through the REST API"):
            self._prove(restored)
        tools.finish()
        return restored

    def _again(self, component: str, command: list[str] | None = None) -> str:
        job = self._work.job(self._inputs.airflow, component)
        if job is None:
            raise Failure(
                f"there is no Job '{component}' of Airflow {self._inputs.airflow} in the cluster to run once more; "
                "`pulumi refresh` takes notice of that, and the next `up` makes it again."
            )
        return self._work.run_job(job, command)

    def _try_keys(self) -> Restored:
        log = self._again("migrate", ["python", "-c", _ENCRYPTED_ROWS.read_text(encoding="utf-8")])
        found = [line for line in log.splitlines() if line.startswith(MARK)]
        if not found:
            raise Failure(f"the pod that tries the keys said nothing of them, but:\n{log[-2000:]}")
        return Restored(**json.loads(found[-1].removeprefix(MARK)))

    def _prove(self, restored: Restored) -> None:
        login = self._work.secret(self._namespace, self._airflow["adminSecret"])
        with reach(self._chosen, self._namespace) as url:
            api = AirflowApi(url, login["username"], login["password"])
            api.log_in()
            shown = api.get("/connections?limit=1")["total_entries"]
        if shown != restored.connections:
            raise Failure(f"the API shows {shown} connections, the database holds {restored.connections}.")


def _summary(chosen: Target, inputs: Inputs, restored: Restored, stack_file: Path | None, seconds: float) -> str:
    opened = restored.encrypted - restored.closed
    lines = [
        "",
        f"Airflow {inputs.airflow} of stack {chosen.name} is recovered from {inputs.dump} ({seconds:.0f} s).",
        "",
        f"    DAG runs     {restored.dag_runs}",
        f"    connections  {restored.connections}",
        f"    variables    {restored.variables}",
        f"    encrypted    {opened} of {restored.encrypted} values open with the keys given",
        f"    password     make password STACK={chosen.name} AIRFLOW={inputs.airflow}",
    ]
    if stack_file:
        lines += [
            "",
            f"  The keys stand encrypted in {stack_file}. Commit it:",
            "  an `up` from a stack file without them makes a new key, and nothing that is encrypted opens any more.",
        ]
    return "\n".join(lines)
