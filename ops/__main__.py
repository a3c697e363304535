"""The commands behind the Makefile. A mistake of the user's gets a text that says what to mend, and no traceback."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ops.backups import fetch_backup
from ops.cluster_view import ClusterView
from ops.commands import command
from ops.costs import costs
from ops.down import down
from ops.dump import dump
from ops.engine import engine_on
from ops.kubeconfig import kubeconfig
from ops.prices import price_list
from ops.recover import recover
from ops.stack_file import ROOT, STACKS, read
from ops.status import status
from ops.target import Target, target, with_images
from ops.up import up
from testbed.progress import Progress

DAGS = ROOT / "dags-image" / "dags"
COMMANDS = (
    "up",
    "preview",
    "down",
    "status",
    "password",
    "kubeconfig",
    "costs",
    "dump",
    "fetch-backup",
    "recover",
    "publish-dags",
    "rollback-dags",
)


@command
def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--stack", default="local")
    parser.add_argument("--airflow", default="")
    parser.add_argument("--dag", default=None, help="a DAG to run after up, as proof")
    parser.add_argument("--stacks", type=Path, default=STACKS, help="the folder with the stack files")
    parser.add_argument("--source", type=Path, default=ROOT, help="the folder that holds dags-image/")
    parser.add_argument("--file", default="", help="with dump and fetch-backup: where to write it")
    parser.add_argument("--backup", default="", help="with fetch-backup: its name, as the migration said it")
    parser.add_argument("--dump", default="", help="with recover: the dump to restore")
    parser.add_argument("--keys", default="", help="with recover: a file with the Fernet keys")
    parser.add_argument("--folder", type=Path, default=DAGS, help="with publish-dags: the folder with the DAGs")
    parser.add_argument("--version", default="", help="with rollback-dags: an earlier version")
    parser.add_argument("--delete", action="store_true", help="with down: also delete databases, logs and state")
    chosen = parser.parse_args(arguments)
    progress = Progress()
    if chosen.command == "costs":  # also of a stack file that has placeholders in it
        print(costs(read(chosen.stack, chosen.stacks), price_list()))
        return 0
    return _run(chosen, target(chosen.stack, progress, chosen.stacks), progress)


def _run(chosen: argparse.Namespace, on: Target, progress: Progress) -> int:
    match chosen.command:
        case "up":
            up(on, progress, chosen.dag, chosen.source)
        case "preview":
            preview(on, progress, chosen.source)
        case "down":
            down(on, progress, chosen.delete)
        case "status":
            return 0 if status(on) else 1
        case "password":
            password(on, chosen.airflow)
        case "dump":
            dump(on, chosen.airflow, chosen.file, progress)
        case "fetch-backup":
            fetch_backup(on, chosen.airflow, chosen.backup, chosen.file, progress)
        case "recover":
            recover(on, chosen.airflow, chosen.dump, chosen.keys, progress, chosen.stacks, chosen.source)
        case "publish-dags" | "rollback-dags":
            move_dags(on, chosen, progress)
        case _:  # "kubeconfig"
            print(kubeconfig(on, progress) or "")
    return 0


def move_dags(on: Target, chosen: argparse.Namespace, progress: Progress) -> None:
    """Publish DAGs into the stack's bucket, or go back to earlier ones."""
    from ops.publish import publish, rollback, shelf_of  # noqa: PLC0415 (Google's libraries take a while to load)

    with shelf_of(on, chosen.airflow) as shelf:
        if chosen.command == "publish-dags":
            publish(shelf, chosen.folder, progress)
        else:
            rollback(shelf, chosen.version, progress)


def preview(on: Target, progress: Progress, source: Path) -> None:
    """Print what `up` would change, as a diff. The testbed's cluster is brought up for it: it has a say in it."""
    if on.testbed:
        on.testbed.up()
    with engine_on(with_images(on, progress, source), progress) as engine:
        engine.policy_packs = [ROOT / "policy" / "pack"]
        outcome = engine.preview(print)
    progress.say(f"  preview: {outcome}")


def password(on: Target, airflow: str) -> None:
    """Print an administrator's password: the one thing that this command is for."""
    name = on.airflow_named(airflow)
    print(ClusterView(on).secret(f"airflow-{name}", "admin")["password"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
