"""Removes files of a log folder that are older than some days, and folders that have been empty as long.

A folder that has just become empty stays: a task may be about to write into it.

Usage: clean_logs.py FOLDER DAYS
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

DAY_SECONDS = 86400


def main(root: Path, days: int) -> None:
    before = time.time() - days * DAY_SECONDS
    files = freed = folders = 0
    for place, _, names in os.walk(root, topdown=False):
        folder = Path(place)
        # A task, or another cleaner, may have been faster.
        with suppress(FileNotFoundError):
            # Looked at before its files go, which makes it new.
            was_old = folder.stat().st_mtime < before
            for name in names:
                found = (folder / name).lstat()
                if found.st_mtime < before:
                    (folder / name).unlink()
                    files, freed = files + 1, freed + found.st_size
            if folder != root and was_old and not any(folder.iterdir()):
                with suppress(OSError):  # something was put into it just now
                    folder.rmdir()
                    folders += 1
    print(f"{files} files of {freed} bytes and {folders} empty folders removed, older than {days} days", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
