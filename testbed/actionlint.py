"""actionlint, the linter of GitHub's workflows, built once. `python -m testbed.actionlint` prints its folder."""

from pathlib import Path
from typing import Final

from testbed.build import cached, run
from testbed.progress import Progress
from testbed.system import go

VERSION: Final = "v1.7.12"
_PACKAGE: Final = "github.com/rhysd/actionlint/cmd/actionlint"


def actionlint(progress: Progress) -> Path:
    """The folder that holds ``actionlint``."""

    def build(folder: Path) -> None:
        run(
            [go(progress), "install", f"{_PACKAGE}@{VERSION}"], progress, env={"GOBIN": str(folder), "CGO_ENABLED": "0"}
        )

    return cached("actionlint", {"version": VERSION}, build, progress, f"building actionlint {VERSION}")


if __name__ == "__main__":
    print(actionlint(Progress()))
