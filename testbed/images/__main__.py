"""``python -m testbed.images list | build [NAME …] | lock``: look at the images, build them, lock their packages."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from uv import find_uv_bin

from testbed.build import run
from testbed.images import REPO, Image
from testbed.images.conflict import explain
from testbed.images.dags import NAME, dags_image
from testbed.images.jars import has_jars, lock_jars
from testbed.images.recipes import RECIPES, image, recipe_of
from testbed.images.version import dags_version
from testbed.progress import Failure, Progress

DEBIAN_PYTHON = "3.11.2"
"""What the stand-in's packages are resolved for: some need one package more there than on a newer 3.11."""
BASE_LOCK = "testbed/images/airflow/requirements.lock"
DAGS = "dags-image/"
NAMES = (*RECIPES, NAME)
LOCKS: dict[str, tuple[str, ...]] = {
    "testbed/images/airflow/requirements": ("--python-version", DEBIAN_PYTHON),
    "dags-image/requirements": ("--universal", "--python-version", "3.11", "--constraints", BASE_LOCK),
    "dags-image/tests/requirements": ("--universal", "--python-version", "3.11", "--constraints", BASE_LOCK),
}
"""Each lock with uv's arguments. The DAGs' must agree with the base image, and hold for its Python, 3.11 or later."""


def main(arguments: list[str]) -> int:
    """Run the command; exit code 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m testbed.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names of the images that can be built")
    build = commands.add_parser("build", help="build images (all that can be, unless named) and print their archives")
    build.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    lock = commands.add_parser("lock", help="make the requirements.lock files anew from requirements.in")
    lock.add_argument("--dags", action="store_true", help="only those of the DAG image")
    lock.add_argument("--jars", action="store_true", help="instead the jars.lock files, from pom.xml")
    chosen = parser.parse_args(arguments)
    progress = Progress()
    try:
        if chosen.command == "list":
            print("\n".join(NAMES))
        elif chosen.command == "build":
            for name in chosen.names or [one for one in NAMES if one == NAME or recipe_of(one)]:
                made = build_one(progress, name)
                print(f"{made.reference}\t{made.archive}\t{made.archive.stat().st_size // 1_000_000} MB")
        elif chosen.jars:
            for recipe in RECIPES.values():
                if has_jars(recipe.folder):
                    lock_jars(progress, recipe.folder)
        else:
            lock_all(progress, [name for name in LOCKS if not chosen.dags or name.startswith(DAGS)])
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def build_one(progress: Progress, name: str) -> Image:
    """Build the image of this short name."""
    if name not in NAMES:
        raise Failure(f"there is no image {name}. Mend: choose from {', '.join(NAMES)}.")
    if name == NAME:
        return dags_image(progress, REPO, dags_version(REPO))
    return image(progress, recipe_of(name) or RECIPES[name])


def lock_all(progress: Progress, names: Sequence[str], repo: Path = REPO) -> None:
    """Make locks anew. Versions that a lock pins already stay while its requirements.in allows them.

    Raises Failure, and leaves the lock as it was, where no set of versions satisfies everybody.
    """
    for name in names:
        with progress.step(f"locking {name}.in"):
            try:
                run(
                    [
                        *(find_uv_bin(), "pip", "compile", "--quiet", "--generate-hashes"),
                        *("--custom-compile-command", "python -m testbed.images lock", *LOCKS[name]),
                        *("--output-file", f"{name}.lock", f"{name}.in"),
                    ],
                    progress,
                    cwd=repo,
                )
            except Failure as failure:
                reason = explain(str(failure), repo / f"{name}.in", repo / BASE_LOCK)
                if reason is None:
                    raise
                raise Failure(f"{reason}\n\n{failure}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
