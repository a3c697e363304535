"""Takes a stack down: stops the machine's own cluster, or destroys what the stack has made."""

import json
import shutil
from collections.abc import Callable

from ops.dev_leases import dev_stacks
from ops.engine import Engine, engine_on
from ops.kubeconfig import save_kubeconfig
from ops.letting_go import let_go
from ops.target import Target
from testbed.progress import Failure, Progress

CLUSTER = "gcp:container/cluster:Cluster"
IN_CLUSTER = "pulumi:providers:kubernetes"
"""All that the stack has in a cluster depends on the provider that reaches it."""


def down(on: Target, progress: Progress, delete: bool) -> None:
    """Stop the testbed's cluster, with ``delete`` its data, too; elsewhere destroy the stack.

    Raises Failure where the stack holds what is protected, or dev stacks stand on it; nothing has been deleted then.
    """
    if on.testbed:
        _stop(on, delete)
        return
    with engine_on(on, progress) as engine:
        outcome = destroy(engine, on, progress)
    print(f"Stack {on.name} is destroyed: {outcome}")


def destroy(engine: Engine, on: Target, progress: Progress, let_go: Callable[[Target, Progress], None] = let_go) -> str:
    """Delete all that the stack has made: of a cluster of its own first what is in it, and what that holds outside.

    Safe to run again wherever it was interrupted. Returns what was deleted, in words.
    """
    if standing := [lease.name for lease in dev_stacks(engine).leases]:
        mend = "; ".join(f"make dev-down BASE={on.name} NAME={name}" for name in standing)
        raise Failure(
            f"stack {on.name}: dev stacks stand on it: {', '.join(standing)}. Nothing was deleted.\nMend: {mend}."
        )
    resources = json.loads(engine.exported())["deployment"].get("resources", [])
    of_type = {kind: [one["urn"] for one in resources if one["type"] == kind] for kind in (CLUSTER, IN_CLUSTER)}
    if on.made_here and of_type[CLUSTER]:
        save_kubeconfig(on, engine.outputs())
        if of_type[IN_CLUSTER]:
            with progress.step(f"pulumi destroy, stack {on.name}: what is in the cluster"):
                engine.destroy(targets=of_type[IN_CLUSTER])
        else:  # an earlier run came so far
            engine.rehearse_destroy()
        with progress.step("waiting for the cluster's disks and load balancers to go"):
            let_go(on, progress)
    with progress.step(f"pulumi destroy, stack {on.name}"):
        return str(engine.destroy())


def _stop(on: Target, delete: bool) -> None:
    assert on.testbed
    on.testbed.down(delete=delete)
    if delete:
        shutil.rmtree(on.home, ignore_errors=True)
        if on.stack.encryption:
            print(
                "What stands encrypted in its stack file can't be read any more: the passphrase is gone. Before "
                "the next `make up` take `encryptionsalt` and everything with `secure:` out of it."
            )
    kept = "" if delete else " Its data stays for the next `make up`; `make down DELETE=1` removes it, too."
    print(f"Stack {on.name} is down.{kept}")
