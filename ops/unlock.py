"""`make unlock`: take away the lock that a run left behind which is dead, after saying whose it is."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pulumi import automation

from ops.commands import command
from ops.engine import Engine, engine_on
from ops.stack_file import STACKS
from ops.target import target
from testbed.progress import Failure, Progress


def unlock(engine: Engine) -> str:
    """Take ``engine``'s stack's lock away; says whose it was, where the state is a folder that can be looked into.

    What the run had under way is in the state as such; the next `up` goes on from there.
    """
    known = "\n".join(f"  {line}" for line in _holders(engine))
    try:
        engine.stack.cancel()
    except automation.errors.CommandError as error:
        said = next((line for line in str(error).splitlines() if "error:" in line), str(error)).strip()
        raise Failure(
            f"stack {engine.target.name}: its lock can't be taken away: {said}\n"
            f"Mend: log in to where the state is, then `pulumi cancel -s {engine.target.name}`."
        ) from None
    return "\n".join(
        part
        for part in (
            known,
            f"Stack {engine.target.name} has no lock any more. Next: make preview STACK={engine.target.name}; what was "
            "under way when that run died is done by the next `up`.",
        )
        if part
    )


def _holders(engine: Engine) -> Iterator[str]:
    backend = dict(engine.stack.workspace.env_vars).get("PULUMI_BACKEND_URL", "")
    if not backend.startswith("file://"):
        return
    for path in sorted(Path(backend.removeprefix("file://")).glob(f".pulumi/locks/*/*/{engine.target.name}/*.json")):
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            yield (
                f"locked by {held['username']} on {held['hostname']}, process {held['pid']}, since {held['timestamp']}"
            )
        except (json.JSONDecodeError, KeyError, TypeError):
            yield f"a lock that can't be read: {path.name}"


@command
def main(arguments: Sequence[str]) -> int:
    """Print what was done; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops.unlock", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--stacks", type=Path, default=STACKS)
    chosen = parser.parse_args(arguments)
    progress = Progress()
    with engine_on(target(chosen.stack, progress, chosen.stacks), progress) as engine:
        print(unlock(engine))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
