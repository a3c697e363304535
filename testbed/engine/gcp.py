"""The strict stand-in for ``gcp``: it checks, diffs and replaces as the documents say, and makes nothing anywhere."""

from collections.abc import Mapping
from importlib.metadata import version

from testbed.engine.described import DescribedStandIn
from testbed.engine.description import load
from testbed.engine.values import Properties, Value
from testbed.progress import Failure


class GcpStandIn(DescribedStandIn):
    """It never opens a connection and reads no credentials."""

    package = "gcp"
    rules = load("gcp")

    def __init__(self) -> None:
        super().__init__()
        self.version = version("pulumi-gcp")

    def make(self, kind: str, inputs: Properties) -> tuple[str, Mapping[str, Value]]:
        if not self.described(kind).id:
            raise Failure(f"{kind} has no id in {self.file_of(kind)}. Mend: add the form of its id, with its source.")
        return super().make(kind, inputs)
