"""`make dump`: an Airflow's database as a file that `make recover` takes."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.cluster_work import ClusterWork
from ops.database import MAGIC, begins_as_dump, database_tools, place_of
from ops.target import Target
from testbed.progress import Failure, Progress

MEBI = 2**20


def dump(chosen: Target, airflow: str, file: str, progress: Progress) -> None:
    """Write the database of ``airflow`` to ``file``, which only its owner can read, whole or not at all.

    It holds the encrypted connections and variables, but not the key to them. Airflow may go on running. Refuses an
    Airflow that the stack does not have (empty: its first one), and a file that can't be made.
    """
    name = chosen.airflow_named(airflow)
    path = writable(file)
    work = ClusterWork(chosen, progress)
    place = place_of(work, name)
    if place is None:
        raise Failure(
            f"stack {chosen.name}: there is no database of Airflow {name} in the cluster of context "
            f"'{chosen.context}'.\nMend: `make up STACK={chosen.name}` makes it."
        )
    written = 0
    with database_tools(work, place, progress) as tools, written_whole(path) as write:

        def take(piece: bytes) -> None:
            nonlocal written
            write(piece)
            written += len(piece)
            progress.note(f"{written / MEBI:.1f} MiB")

        with progress.step(f"pg_dump of the database {place.database}"):
            tools.dump(take)
    print(
        f"The database of Airflow {name} is in {path} ({written / MEBI:.1f} MiB).\n"
        "Keep it like a password: it holds password hashes. What is encrypted in it opens with the Fernet key, which\n"
        "is not in it. Back: make recover (docs/recovery.md)."
    )


def writable(file: str) -> Path:
    path = Path(file).expanduser()
    if not file:
        raise Failure("FILE: is not given.\nMend: FILE=main.dump, or wherever the dump is to go.")
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise Failure(f"FILE: {path} can't be written.\nMend: name a file in a folder that is there and yours.")
    return path


@contextmanager
def written_whole(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Writes to a file beside ``path`` that takes its place once the block has ended well."""
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # readable by its owner only

    def write(piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError as error:
            raise Failure(f"FILE: {path} can't be written: {error.strerror}.\nMend: make room for it.") from None

    try:
        try:
            yield write
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not begins_as_dump(Path(made)):
            raise Failure(f"what came is no dump: it does not begin with {MAGIC.decode()}.")
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
