"""The Pulumi CLI and engine, built once from its Go module."""

from pathlib import Path

from testbed.build import cached, run
from testbed.progress import Progress
from testbed.system import go

PULUMI_VERSION = "3.256.0"
"""Keep it at the version of the Python SDK in requirements.txt: the Automation API refuses an older CLI."""
_MODULE = Path(__file__).with_name("cli")
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def pulumi_cli(progress: Progress) -> Path:
    """The folder that holds ``pulumi`` at ``PULUMI_VERSION``: put it on PATH. Built when it is not cached (4 min).

    Raises ``Failure`` where there is no Go toolchain and none can be had, or the build fails.
    """
    inputs: dict[str, str | bytes | Path] = {
        "go.mod": _MODULE / "go.mod",
        "go.sum": _MODULE / "go.sum",
        "version": PULUMI_VERSION,
    }

    def build(folder: Path) -> None:
        link = f"-s -w -X {_VERSION_VARIABLE}=v{PULUMI_VERSION}"
        run(
            [go(progress), "build", "-trimpath", "-v", "-ldflags", link, "-o", folder / "bin" / "pulumi", _PACKAGE],
            progress,
            cwd=_MODULE,
            env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
            mend="Mend: the Go module proxy must be reachable (GOPROXY) and 3 GB of disk free; run it again.",
        )

    return cached("pulumi", inputs, build, progress, f"building the Pulumi CLI {PULUMI_VERSION}") / "bin"
