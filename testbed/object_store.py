"""A Google Cloud Storage on this machine, for tests: ``python -m testbed.object_store COMMAND …`` runs one beside it.

Google's client libraries find it by ``STORAGE_EMULATOR_HOST``
(https://cloud.google.com/python/docs/reference/storage/latest, "Emulator").
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.cluster.programs import go_program
from testbed.progress import Failure, Progress

BUCKET = "dags-test"
PROGRAM = "objectstore"
TITLE = "building the object store for tests (about 2 minutes)"


@contextmanager
def object_store(progress: Progress) -> Iterator[str]:
    """The URL of a server with the empty bucket ``BUCKET``, for as long as the block lasts."""
    program = go_program(PROGRAM, progress, title=TITLE)
    with subprocess.Popen([program, "127.0.0.1:0", "", BUCKET], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise Failure(f"{program} ended with exit code {process.wait()}, see above.")
            yield url
        finally:
            process.terminate()


def main(command: list[str]) -> int:
    """Run ``command`` with ``STORAGE_EMULATOR_HOST`` set; returns its exit code."""
    with object_store(Progress()) as url:
        return subprocess.run(command, env={**os.environ, "STORAGE_EMULATOR_HOST": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
