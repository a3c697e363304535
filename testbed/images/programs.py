"""Programs of this machine that images are made of: those that no registry serves, found on PATH."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.progress import Failure

CONTEXT_NAME = "program"
"""What the Containerfile copies: a file, or a folder where the program has an installation around it."""


@dataclass(frozen=True)
class Program:
    """A program by the ``name`` that it has on PATH.

    ``folders_up`` says where its installation begins, for one that is more than a file: 2 for
    ``/opt/grafana/bin/grafana`` takes ``/opt/grafana``; 0 takes the file alone. A link on PATH is followed first.
    """

    name: str
    folders_up: int = 0

    @property
    def there(self) -> bool:
        """Whether this machine has it."""
        return shutil.which(self.name) is not None

    @property
    def path(self) -> Path:
        """The file or the folder that goes into the image. Its content is part of what the image is cached by."""
        found = shutil.which(self.name)
        if found is None:
            raise Failure(
                f"the program {self.name} is not on PATH, and its image can't be made without it.\n"
                f"Mend: build {self.name} or get it from its makers, and put it on PATH."
            )
        program = Path(found).resolve()
        return program.parents[self.folders_up - 1] if self.folders_up else program

    def copy_into(self, context: Path) -> None:
        """Put it into a build's context under :data:`CONTEXT_NAME`."""
        source, target = self.path, context / CONTEXT_NAME
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)
