"""What a pull request is told of its dev stack: where it is, until when; or that it is gone.

python -m ops.dev_comment --base=dev --name=pr-12 --number=12
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.settings.dev_stacks import moment_text
from infra.settings.ingress_addresses import address_of
from ops.commands import command
from ops.dev import known_stacks, placed
from ops.dev_config import checked_name
from ops.dev_leases import Lease, stack_of
from ops.github import github_here
from ops.stack_file import STACKS, StackFile
from ops.target import Target, target
from testbed.progress import Failure, Progress

MARKER = "<!-- airflow-platform dev stack -->"


def text(base: Target, name: str, lease: Lease | None) -> str:
    """The comment, in Markdown."""
    if lease is None:
        return f"{MARKER}\nThe dev stack `{name}` on `{base.name}` is gone."
    settings = placed(base, StackFile(lease.stack, lease.config, {}, {})).settings
    (airflow,) = settings.airflows
    address = address_of(airflow, settings)
    namespace = f"airflow-{airflow.name}"
    where = address.url if address else f"`kubectl --namespace {namespace} port-forward service/api-server 8080`"
    password = f"kubectl --namespace {namespace} get secret admin --output jsonpath='{{.data.password}}' | base64 -d"
    return "\n".join(
        [
            MARKER,
            f"The dev stack `{name}` on `{base.name}` is up until {moment_text(lease.expires)}: {where}",
            "",
            f"User `{airflow.admin_user}`; the password: `{password}`",
            "",
            f"Longer: `make dev-extend BASE={base.name} NAME={name} TTL=1d`. It goes when the pull request is closed "
            "or loses the label.",
        ]
    )


@command
def main(arguments: Sequence[str]) -> int:
    """Write or update the comment; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops.dev_comment", description=__doc__)
    parser.add_argument("--base", default="dev")
    parser.add_argument("--name", required=True)
    parser.add_argument("--number", required=True)
    parser.add_argument("--stacks", type=Path, default=STACKS, help="the folder with the stack files")
    chosen = parser.parse_args(arguments)
    if not chosen.number.isdecimal():
        raise Failure(f"NUMBER={chosen.number}: is no pull request.\nMend: NUMBER=12.")
    name, there = checked_name(chosen.name), github_here(os.environ)
    progress = Progress()
    base = target(chosen.base, progress, chosen.stacks)
    lease = known_stacks(base, progress).named(stack_of(base.name, name))
    print(f"comment {there.say(int(chosen.number), MARKER, text(base, name, lease))} in #{chosen.number}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
