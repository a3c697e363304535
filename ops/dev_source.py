"""The branch that a dev stack's DAGs come from: asked for before anything is made."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.stack_file import ROOT
from testbed.progress import Failure

NO_SUCH_REF = 2


def refuse_missing_ref(repository: str, ref: str) -> None:
    """Raises Failure where the git ``repository`` has no branch or tag ``ref``, or can't be asked."""
    asked = ["git", "ls-remote", "--exit-code", repository, f"refs/heads/{ref}", f"refs/tags/{ref}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == NO_SUCH_REF:
        raise Failure(
            f"REF={ref}: {repository} has no such branch or tag. Nothing was created.\nMend: push it, or name one that "
            f"is there (git ls-remote {repository})."
        )
    if done.returncode:
        raise Failure(
            f"REF={ref}: {repository} can't be asked for it: {done.stderr.strip()[-300:]}. Nothing was created.\n"
            "Mend: see that git reaches the repository from here."
        )


@contextmanager
def tree_at(ref: str, repo: Path = ROOT) -> Iterator[Path]:
    """This repository's files as they are at ``ref``, for as long as the block lasts: what an image is built from."""
    found = _git(repo, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if found.returncode:
        found = _git(repo, "rev-parse", "--verify", "--quiet", f"origin/{ref}^{{commit}}")
    if found.returncode:
        raise Failure(
            f"REF={ref}: there is no such branch or tag here. Nothing was created.\nMend: git fetch, or name one that "
            "is there (git branch --all)."
        )
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        made = _git(repo, "worktree", "add", "--detach", "--force", str(tree), found.stdout.strip())
        if made.returncode:
            raise Failure(f"REF={ref}: could not be checked out: {made.stderr.strip()[-300:]}")
        try:
            yield tree
        finally:
            _git(repo, "worktree", "remove", "--force", str(tree))


def _git(repo: Path, *arguments: str) -> "subprocess.CompletedProcess[Any]":
    return subprocess.run(["git", "-C", str(repo), *arguments], capture_output=True, text=True, check=False)
