"""What is mounted below a folder, and how to undo it."""

import re
import shutil
import subprocess
from pathlib import Path

from testbed.progress import Failure


def below(folder: Path) -> list[Path]:
    """Mount points at or below ``folder``, the latest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4]))
        if point.is_relative_to(folder):
            found.append(point)
    return found[::-1]


def remove_tree(folder: Path) -> None:
    """Remove ``folder``, but never what is mounted in it: that may be a person's own folder, given to a pod."""
    unmount_all(folder)
    if left := below(folder):
        raise Failure(f"{left[0]} is still mounted, so {folder} is not removed.\nMend: umount {left[0]}")
    if folder.exists():
        shutil.rmtree(folder)


def unmount_all(folder: Path) -> None:
    """Unmount everything at or below ``folder``; what is busy goes as soon as it is no longer used."""
    for options in ([], ["--lazy"]):
        if points := below(folder):
            subprocess.run(["umount", *options, *points], capture_output=True, check=False)
