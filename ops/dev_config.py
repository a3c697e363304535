"""What a dev stack is made from: the template, what its base says of itself, and what was asked for. No engine here."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.dev_stacks import OUTPUT, needs
from infra.settings import Settings
from infra.settings.dev_stacks import LONGEST_NAME, NAME, PREFIX, moment_text
from ops.dev_leases import Lease, stack_of
from ops.stack_file import StackFile
from testbed.progress import Failure

LONGEST = timedelta(days=30)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
Tree = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A dev stack as a person asks for it."""

    name: str
    owner: str
    lasting: timedelta
    ref: str = ""
    """A branch or tag of the DAGs. Empty: the base's."""


def checked_name(name: str) -> str:
    """``name``, if it can be one."""
    if not name:
        raise Failure("which dev stack?\nMend: NAME=alice.")
    if not NAME.match(name):
        raise Failure(
            f"NAME={name}: is no name for a dev stack: at most {LONGEST_NAME} lower-case letters, digits and dashes, a "
            "letter first, no dash last; namespace, database and host are named after it. Nothing was created.\n"
            "Mend: choose another NAME."
        )
    return name


def lasting(text: str) -> timedelta:
    """How long ``8h``, ``30m`` or ``2d`` are."""
    found = re.fullmatch(r"(-?[0-9]{1,5})([mhd])", text)
    if not found:
        raise Failure(f"TTL={text}: is no time. Nothing was changed.\nMend: write minutes, hours or days: 30m, 8h, 2d.")
    asked = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if asked <= timedelta(0):
        raise Failure(f"TTL={text}: is in the past. Nothing was changed.\nMend: name a time from now on: TTL=8h.")
    if asked > LONGEST:
        raise Failure(f"TTL={text}: is more than {LONGEST.days} days. Nothing was changed.\nMend: extend it later.")
    return asked


def stack_for(base: str, template: StackFile, outputs: Mapping[str, Any], asked: Asked, now: datetime) -> StackFile:
    """The stack file of a dev stack on ``base``, whose ``outputs`` those are. Raises Failure where it is no base."""
    offered = outputs.get(OUTPUT)
    if not offered:
        raise Failure(
            f"stack {base}: lets no dev stacks stand on it{'' if outputs else ', and is not up'}. Nothing was created."
            "\nMend: add 'devStacks' to its stack file (docs/dev-stacks.md) and bring it up: make up "
            f"STACK={base}."
        )
    config = copy.deepcopy(template.config)
    given = copy.deepcopy(offered["config"])
    dags = given.pop("dags")
    config |= given
    (airflow,) = config["airflows"]
    airflow["name"] = f"{PREFIX}{asked.name}"
    airflow["dags"] = _dags(base, dags, asked.ref)
    if "google" in config:
        airflow["taskLogs"] = {"kind": "gcs"}
    config["devStack"] = {
        "base": base,
        "owner": asked.owner,
        "created": moment_text(now),
        "expires": moment_text(now + asked.lasting),
    }
    return StackFile(stack_of(base, asked.name), config, {}, {})


def extended(lease: Lease, expires: datetime) -> StackFile:
    """The stack file of ``lease``'s with another end."""
    config = copy.deepcopy(lease.config)
    config["devStack"]["expires"] = moment_text(expires)
    return StackFile(lease.stack, config, {}, {})


def refuse_beyond_budget(
    base: str, outputs: Mapping[str, Any], others: Sequence[Lease], wanted: Settings, now: datetime
) -> None:
    """Raises Failure, with the arithmetic, where the base has no room for what is ``wanted`` beside ``others``."""
    budget: Mapping[str, Any] = outputs[OUTPUT]["budget"]
    for key, what, unit in (("connections", "database connections", 1), ("millicpus", "CPUs", 1000)):
        need = needs(wanted)[key] / unit
        taken = [(lease.name, getattr(lease, key) / unit) for lease in others]
        total = sum(count for _, count in taken)
        have = budget[key] / unit
        if total + need <= have:
            continue
        sums = " + ".join(f"{name} {count:g}" for name, count in taken) or "nothing"
        over = [lease.name for lease in others if lease.expired(now)]
        sweep = f" {', '.join(over)}: expired; make dev-sweep BASE={base} removes them." if over else ""
        raise Failure(
            f"stack {base} has {have:g} {what} for dev stacks. Taken: {sums}, together {total:g}. This one needs "
            f"{need:g}, which makes {total + need:g}. Nothing was created.\n"
            f"Mend: take one down (make dev-list BASE={base}), or raise 'devStacks' in the base's stack file.{sweep}"
        )


def _dags(base: str, dags: Tree, ref: str) -> Tree:
    if dags["kind"] == "artifact":
        # What is published is published to one Airflow; the image holds DAGs, too.
        dags = {"kind": "image", **{key: dags[key] for key in ("repository", "version", "digest") if key in dags}}
    if ref and "git" in dags:
        dags["git"]["ref"] = ref
    return dags
