"""`make dev` and its kin: Airflows of one's own, for a while, on a base stack. Safe to run again after any crash.

python -m ops.dev up --base=dev --name=alice --ttl=8h [--ref=branch]
python -m ops.dev list|sweep --base=dev
python -m ops.dev down|extend --base=dev --name=alice [--ttl=8h] [--if-there]
"""

import argparse
import getpass
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import yaml

from infra.settings import PROJECT
from infra.settings.dev_stacks import PREFIX, moment_text
from ops.commands import command
from ops.dev_config import Asked, checked_name, extended, lasting, refuse_beyond_budget, stack_for
from ops.dev_leases import DevStacks, Lease, dev_stacks, stack_of
from ops.dev_leftovers import Leftovers
from ops.dev_source import refuse_missing_ref, tree_at
from ops.engine import engine_on
from ops.stack_file import STACKS, StackFile
from ops.target import Target, target, with_images
from ops.up import summary
from testbed.progress import Failure, Progress

TEMPLATE = "dev-stack.yaml"
DEFAULT_TTL = "8h"


@command
def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops.dev", description=__doc__)
    parser.add_argument("command", choices=("up", "list", "down", "extend", "sweep"))
    parser.add_argument("--base", default="dev")
    parser.add_argument("--name", default="")
    parser.add_argument("--ttl", default="")
    parser.add_argument("--ref", default="", help="with up: a branch or tag for the DAGs")
    parser.add_argument("--owner", default="", help="with up: whose it is; default: git's user.email")
    parser.add_argument("--if-there", action="store_true", help="with down: one that is not there is no mistake")
    parser.add_argument("--stacks", type=Path, default=STACKS, help="the folder with the stack files")
    chosen = parser.parse_args(arguments)
    progress = Progress()
    return _run(chosen, progress)


def _run(chosen: argparse.Namespace, progress: Progress) -> int:
    # What is wrong with the words is said before anything is looked at.
    name = checked_name(chosen.name) if chosen.command in {"up", "down", "extend"} else ""
    base = target(chosen.base, progress, chosen.stacks)
    match chosen.command:
        case "up":
            ttl = lasting(chosen.ttl or DEFAULT_TTL)
            asked = Asked(name, chosen.owner or _owner(), ttl, chosen.ref)
            up(base, template(chosen.stacks), asked, progress, keep_end=not chosen.ttl)
        case "list":
            print(listing(base.name, known_stacks(base, progress), _now()))
        case "down":
            down(base, name, progress, if_there=chosen.if_there)
        case "extend":
            extend(base, name, chosen.ttl or DEFAULT_TTL, progress)
        case _:
            return 0 if sweep(base, progress) else 1
    return 0


def template(stacks: Path = STACKS) -> StackFile:
    """What dev stacks are made from."""
    tree = yaml.safe_load((stacks / TEMPLATE).read_text(encoding="utf-8"))
    config = {key.removeprefix(f"{PROJECT}:"): value for key, value in tree["config"].items()}
    return StackFile(TEMPLATE, config, {}, {})


def up(base: Target, made_from: StackFile, asked: Asked, progress: Progress, keep_end: bool = False) -> Lease:
    """Bring a dev stack up, or bring it up to what base and template say now.

    ``keep_end``: one that is there keeps its end. Raises Failure, with nothing created, where the name is taken, the
    base is none, the branch is gone, or the base's budget is used up.
    """
    began = time.monotonic()
    now = _now()
    stack = stack_of(base.name, asked.name)
    with engine_on(base, progress) as engine:
        outputs, known = engine.outputs(), dev_stacks(engine)
    present = known.named(stack)
    if present and present.owner != asked.owner:
        raise Failure(
            f"NAME={asked.name}: is taken by {present.owner}, since {moment_text(present.created)}, until "
            f"{moment_text(present.expires)}. Nothing was changed.\nMend: choose another NAME; or, if it is yours, say "
            f"OWNER={present.owner}."
        )
    file = stack_for(base.name, made_from, outputs, asked, now)
    if present:
        file.config["devStack"]["created"] = moment_text(present.created)
        if keep_end and not present.expired(now):
            file.config["devStack"]["expires"] = moment_text(present.expires)
    wanted = placed(base, file)
    others = [lease for lease in known.leases if lease.stack != stack]
    refuse_beyond_budget(base.name, outputs, others, wanted.settings, now)
    dags = file.config["airflows"][0]["dags"]
    if asked.ref and "git" in dags:
        refuse_missing_ref(dags["git"]["repository"], asked.ref)
    elif asked.ref and not base.testbed:
        raise Failure(
            f"REF={asked.ref}: the DAGs of {base.name} are in its image, not in a repository that is followed. Nothing "
            "was created.\nMend: leave REF out, or give the base DAGs of kind git-sync or git-bundle."
        )
    with tree_at(asked.ref) if asked.ref and "git" not in dags else nullcontext() as tree:
        if tree:
            wanted = with_images(wanted, progress, tree)
    with engine_on(wanted, progress) as engine, progress.step(f"pulumi up, stack {stack}"):
        outcome = engine.up()
        lease = dev_stacks(engine, base.name).named(stack)
    progress.say(f"  {outcome}")
    print(summary(wanted, outcome.outputs["airflows"], None, time.monotonic() - began, {}))
    assert lease is not None, "the program registers it"
    print(f"\n  It is {lease.owner}'s until {moment_text(lease.expires)}: make dev-extend, make dev-down.")
    return lease


def down(base: Target, name: str, progress: Progress, *, if_there: bool = False) -> None:
    """Delete a dev stack: all that it made, its database, and its state.

    Raises Failure where there is none of that name; with ``if_there`` that is no mistake.
    """
    stack = stack_of(base.name, name)
    with engine_on(base, progress) as engine:
        known = dev_stacks(engine)
    if known.lacks(stack):
        if if_there:
            print(f"There is no dev stack {name} on {base.name}.")
            return
        raise Failure(f"there is no dev stack '{name}' on {base.name}.\nMend: make dev-list BASE={base.name}.")
    lease = known.named(stack)
    if not lease:
        _remove_unclear(base, stack, progress)
    else:
        file = StackFile(stack, lease.config, {}, {})
        leftovers = Leftovers(base, f"{PREFIX}{name}", progress)
        with engine_on(placed(base, file), progress) as engine:
            with progress.step(f"pulumi destroy, stack {stack}"):
                leftovers.stop()
                outcome = engine.destroy()
            progress.say(f"  {outcome}")
            leftovers.remove()
            engine.stack.workspace.remove_stack(stack)
    print(f"Dev stack {name} on {base.name} is gone.")


def extend(base: Target, name: str, ttl: str, progress: Progress) -> None:
    """Give a dev stack another end, from now on. Nothing else of it changes."""
    ends = _now() + lasting(ttl)
    stack = stack_of(base.name, name)
    lease = known_stacks(base, progress).named(stack)
    if not lease:
        raise Failure(f"there is no dev stack '{name}' on {base.name}.\nMend: make dev-list BASE={base.name}.")
    with engine_on(placed(base, extended(lease, ends)), progress) as engine, progress.step(f"pulumi up, stack {stack}"):
        outcome = engine.up()
    progress.say(f"  {outcome}")
    print(f"Dev stack {name} on {base.name} is {lease.owner}'s until {moment_text(ends)}.")


def sweep(base: Target, progress: Progress) -> bool:
    """Delete the base's dev stacks whose time is over, and nothing else; True if all of them went."""
    known = known_stacks(base, progress)
    for stack in known.unclear:
        print(f"{stack}: holds nothing that says that it is a dev stack; left alone.")
    over = [lease for lease in known.leases if lease.expired(_now())]
    good = True
    for lease in over:
        # Somebody may have extended it, or another sweeper removed it, since the list was made.
        still = known_stacks(base, progress).named(lease.stack)
        if still is None or not still.expired(_now()):
            continue
        print(f"{lease.stack}: {lease.owner}'s, expired at {moment_text(lease.expires)}")
        try:
            down(base, lease.name, progress)
        except Failure as failure:
            good = False
            print(f"{failure}", file=sys.stderr)
    print(f"{len(known.leases)} dev stacks on {base.name}, {len(over)} of them expired.")
    return good


def listing(base: str, known: DevStacks, now: datetime) -> str:
    """The dev stacks of ``base`` as a table."""
    rows = [("NAME", "OWNER", "CREATED", "EXPIRES", "CONNECTIONS", "CPU")]
    for lease in known.leases:
        ends = moment_text(lease.expires) + (" (expired)" if lease.expired(now) else "")
        cpu = f"{lease.millicpus / 1000:g}"
        rows.append((lease.name, lease.owner, moment_text(lease.created), ends, str(lease.connections), cpu))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{stack}: holds nothing that says that it is a dev stack" for stack in known.unclear]
    return "\n".join(lines) if known.leases or known.unclear else f"No dev stacks on {base}."


def known_stacks(base: Target, progress: Progress) -> DevStacks:
    """The dev stacks on ``base``."""
    with engine_on(base, progress) as engine:
        return dev_stacks(engine)


def placed(base: Target, file: StackFile) -> Target:
    """A dev stack as a target: in its base's cluster, with its state beside the base's."""
    return Target(file, file.settings, base.testbed, base)


def _remove_unclear(base: Target, stack: str, progress: Progress) -> None:
    """Remove a stack that was interrupted before it held anything. Refuses one that holds something."""
    with engine_on(base, progress) as engine:
        try:
            engine.stack.workspace.remove_stack(stack)
        except Exception as error:
            raise Failure(f"stack {stack} is no dev stack, and holds something: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)


def _owner() -> str:
    """Who asks: by git's e-mail address, else by user and machine."""
    asked = subprocess.run(["git", "config", "user.email"], capture_output=True, text=True, check=False)
    return os.environ.get("OWNER") or asked.stdout.strip() or f"{getpass.getuser()}@{socket.gethostname()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
