"""A folder of a git repository as a tarball that is the same wherever it is made, and the version that git gives it."""

import gzip
import hashlib
import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from testbed.images.version import fit
from testbed.progress import Failure


@dataclass(frozen=True)
class Packed:
    """A tarball. ``content`` is a digest of what is in it, which compression has no say in."""

    data: bytes
    sha256: str
    content: str
    files: int


def pack(folder: Path) -> tuple[str, Packed]:
    """The version of ``folder`` (`git describe`), and what git tracks of it.

    Refuses what differs from the commit that the version names, and everything that is no plain file.
    """
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}.\nMend: FOLDER= the one with the DAGs.")
    changed = _git(folder, "status", "--porcelain", "--", ".").splitlines()
    if changed:
        listed = "\n".join(f"  {line}" for line in changed[:10])
        raise Failure(
            f"{folder} is not what is committed, so no version of git's names it:\n{listed}\n"
            "Mend: commit or stash that, then run the command again."
        )
    version = fit(_git(folder, "describe", "--always", "--tags").strip())
    names = sorted(name for name in _git(folder, "ls-files", "-z", "--", ".").split("\0") if name)
    if not names:
        raise Failure(f"git tracks no file in {folder}.\nMend: FOLDER= the one with the DAGs.")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            file = folder / name
            if file.is_symlink() or not file.is_file():
                raise Failure(
                    f"{file} is a link or a submodule; a version holds plain files only.\nMend: put a file there."
                )
            member = tarfile.TarInfo(name)
            member.size = file.stat().st_size
            member.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
            with file.open("rb") as content:
                archive.addfile(member, content)
    data = gzip.compress(plain.getvalue(), mtime=0)
    content = hashlib.sha256(plain.getvalue()).hexdigest()
    return version, Packed(data, hashlib.sha256(data).hexdigest(), content, len(names))


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(
            f"git {arguments[0]} fails in {folder}: {done.stderr.strip()}\n"
            "Mend: FOLDER= a folder in a git repository that has a commit."
        )
    return done.stdout
