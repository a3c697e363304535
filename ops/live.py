"""`make live-preview` and `make drift`: the same report as `make diff`, asked of the real thing. Nothing is changed."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.commands import command
from ops.diff import FLAGGED
from ops.diff_render import FORMATS
from ops.diff_report import ALLOWING_LABEL, Drifted, Report, Seen
from ops.engine import Engine, engine_on
from ops.stack_file import ROOT, STACKS
from ops.target import target
from testbed.progress import Progress


def live_preview(engine: Engine, policy: Path, allow: Sequence[str] = ()) -> Report:
    """What `up` would do to ``engine``'s stack as it is in the state; ``policy`` is the pack that is asked.

    Raises Failure for what `up` would refuse, protection among it.
    """
    seen = Seen()
    engine.policy_packs = [policy]
    engine.preview(lambda _: None, seen.event)
    return Report(
        stack=engine.target.name,
        base="its state",
        commit="",
        head="the program",
        kind="live",
        resources=seen.sorted(),
        unchanged=seen.unchanged,
        allowed=ALLOWING_LABEL in allow,
    )


def drift(engine: Engine) -> Report:
    """What of ``engine``'s stack is not what its state says."""
    seen = Drifted()
    engine.preview_refresh(seen.event)
    return Report(
        stack=engine.target.name,
        base="its state",
        commit="",
        head="what is there",
        kind="drift",
        resources=seen.sorted(),
        unchanged=seen.unchanged,
    )


@command
def main(arguments: Sequence[str]) -> int:
    """Print the report; ``FLAGGED`` where it must not be overlooked."""
    parser = argparse.ArgumentParser(prog="ops.live", description=__doc__)
    parser.add_argument("command", choices=("preview", "drift"))
    parser.add_argument("--stack", required=True)
    parser.add_argument("--format", default="text", choices=sorted(FORMATS))
    parser.add_argument("--allow", default="", help="labels, separated by commas")
    parser.add_argument("--policy", type=Path, default=ROOT / "policy" / "pack", help="the policy pack")
    parser.add_argument("--stacks", type=Path, default=STACKS)
    chosen = parser.parse_args(arguments)
    progress = Progress()
    with engine_on(target(chosen.stack, progress, chosen.stacks), progress) as engine:
        if chosen.command == "drift":
            report = drift(engine)
        else:
            report = live_preview(engine, chosen.policy.resolve(), chosen.allow.split(","))
    print(FORMATS[chosen.format](report))
    if chosen.command == "drift":
        return 0 if report.empty else FLAGGED
    return 0 if report.passes else FLAGGED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
