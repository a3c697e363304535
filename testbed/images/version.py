"""The DAG image's version: what git says of the working tree."""

import hashlib
import re
import subprocess
from pathlib import Path

from testbed.progress import Failure

LONGEST = 63
"""What a Kubernetes label value may hold; an image tag may be longer."""
FOLDER = "dags-image"


def dags_version(repo: Path) -> str:
    """``git describe --always --tags`` of HEAD; with a hash of ``dags-image/`` appended where the tree is dirty.

    Examples: ``v0.1.0-3-gabc1234``, ``abc1234-dirty.5f3a9c01``, ``0.0.0-dirty.5f3a9c01`` where nothing is committed or
    ``repo`` is no git repository. Always fit for an image tag and a Kubernetes label. The hash is over the names,
    contents and executable bits of the files that git tracks or would track: what is ignored doesn't count.
    Refuses a repository that git itself refuses to read.
    """
    if not (repo / ".git").exists():
        return fit("0.0.0", f"-dirty.{_digest(repo, _all_files(repo / FOLDER))}")
    committed = _git(repo, "rev-parse", "--verify", "--quiet", "HEAD", may_fail=True)
    described = _git(repo, "describe", "--always", "--tags") if committed else "0.0.0"
    if committed and not _git(repo, "status", "--porcelain"):
        return fit(described)
    listed = _git(repo, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", FOLDER)
    files = [repo / name for name in sorted(set(listed.split("\0"))) if name]
    return fit(described, f"-dirty.{_digest(repo, files)}")


def fit(described: str, suffix: str = "") -> str:
    """``described`` as a tag and label: other characters become ``-``, cut to ``LONGEST`` before ``suffix``."""
    clean = re.sub(r"[^A-Za-z0-9_.-]", "-", described).strip("-_.") or "0.0.0"
    return clean[: LONGEST - len(suffix)].rstrip("-_.") + suffix


def _digest(repo: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():  # one that was deleted from the tree is still listed by git
            mode = "x" if file.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(repo)}\0{mode}\0{content}\n".encode())
    return digest.hexdigest()[:8]


def _all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _git(repo: Path, *arguments: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(["git", "-C", repo, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failure("git is missing; it names the DAG image's version. Mend: apt-get install git") from None
    if done.returncode and not may_fail:
        raise Failure(
            f"git {arguments[0]} fails in {repo}: {done.stderr.strip()}\n"
            "Mend: run `git status` there as the same user and do what it says."
        )
    return done.stdout.strip("\n")


if __name__ == "__main__":
    print(dags_version(Path(__file__).resolve().parents[2]))
