"""Which engine and which providers a run uses: decided by what the run is for, not by what happens to be installed.

Tests, benchmarks and offline diffs always attach the stand-ins, so that no test can ever touch a cloud. A deployment
that a person asked for uses the real parts where they are installed and stand-ins where a stand-in can do the job; a
stand-in never pretends to make a cloud.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from pulumi.automation import PulumiCommand

from testbed.engine.attach import NAMES
from testbed.engine.cli import PULUMI_VERSION, pulumi_cli
from testbed.progress import Failure, Progress

CLOUD: Final = frozenset({"gcp"})
"""Providers whose real plugin reaches a cloud."""
GUARDED: Final = CLOUD | {"kubernetes"}
"""Providers whose real plugin could reach something that is not the testbed's."""
_CHANGING: Final = frozenset({"up", "destroy", "refresh", "import"})
_ALWAYS_REMOVED: Final = ("GOOGLE_", "CLOUDSDK_", "GCLOUD_", "GCE_METADATA_")
_REMOVED: Final = frozenset({"PULUMI_ACCESS_TOKEN", "PULUMI_DEBUG_PROVIDERS", "PULUMI_CONFIG"})


class Purpose(Enum):
    """What a run of the engine is for."""

    TEST = "test"
    BENCHMARK = "benchmark"
    OFFLINE_DIFF = "offline diff"
    DEPLOY = "deploy"
    """``make up`` or ``make preview`` on a stack that a person names."""


class Operation(Enum):
    """What the engine is asked to do."""

    PREVIEW = "preview"
    UP = "up"
    REFRESH = "refresh"
    DESTROY = "destroy"


class Refused(Failure):
    """The run could reach something that its purpose forbids."""


@dataclass(frozen=True)
class Choice:
    """The parts of one run."""

    purpose: Purpose
    cli: Path
    """The folder that holds ``pulumi``, for PATH."""
    cli_is_real: bool
    """Whether it was installed by the user, not built by the testbed."""
    real: frozenset[str]
    """Providers whose real plugin is used."""
    standins: tuple[str, ...]
    """Providers whose stand-in is to be attached."""

    def describe(self) -> str:
        """One line a part, for printing before the run."""
        engine = f"pulumi from {self.cli}" if self.cli_is_real else f"pulumi {PULUMI_VERSION} built by the testbed"
        lines = [f"engine: {engine}"]
        for name in NAMES:
            if name in self.real:
                lines.append(f"{name}: the real plugin")
            elif name in self.standins:
                lines.append(f"{name}: stand-in")
        return "\n".join(lines)


def choose(
    purpose: Purpose,
    progress: Progress,
    *,
    needs_cloud: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Choice:
    """The parts for ``purpose``, building the CLI where it is needed.

    ``needs_cloud`` says whether the stack has Google Cloud resources; only DEPLOY asks. ``environment`` defaults to
    this process's. Raises ``Failure`` for a deployment that needs a cloud on a machine without its plugin.
    """
    if purpose is not Purpose.DEPLOY:
        return Choice(purpose, pulumi_cli(progress), False, frozenset(), NAMES)
    variables = os.environ if environment is None else environment
    cli = _installed_cli(variables)
    real = frozenset(name for name in NAMES if cli and _plugin(name, variables))
    if needs_cloud and not real >= CLOUD:
        raise Failure(
            "this stack has Google Cloud resources, and the Pulumi plugin `gcp` is not installed here. A stand-in "
            "can't make a cloud. Mend: install the Pulumi CLI (`pulumi` and `pulumi-language-python` on PATH), then "
            "`pulumi plugin install resource gcp`."
        )
    missing = tuple(name for name in NAMES if name not in real)
    return Choice(purpose, cli or pulumi_cli(progress), cli is not None, real, missing)


def _installed_cli(variables: Mapping[str, str]) -> Path | None:
    path = variables.get("PATH", "")
    pulumi = shutil.which("pulumi", path=path)
    return Path(pulumi).parent if pulumi and shutil.which("pulumi-language-python", path=path) else None


def _plugin(name: str, variables: Mapping[str, str]) -> bool:
    home = Path(variables.get("PULUMI_HOME") or Path(variables.get("HOME", "/")) / ".pulumi")
    if any((home / "plugins").glob(f"resource-{name}-v*")):
        return True
    return shutil.which(f"pulumi-resource-{name}", path=variables.get("PATH", "")) is not None


def environment(
    choice: Choice, home: Path, debug_providers: str, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The variables to lay over ``base`` (default: this process's) for running ``choice``'s engine.

    ``home`` is a folder of the caller's for what must not be the user's own (PULUMI_HOME and an empty configuration
    of the Google Cloud CLI). A deployment keeps the user's variables. For every other purpose all that could identify
    anybody to a cloud is set to the empty string (the Automation API can add variables, not remove them), and the
    application default credentials in HOME are out of reach.
    """
    present = os.environ if base is None else base
    variables: dict[str, str] = {}
    if choice.purpose is not Purpose.DEPLOY:
        variables |= dict.fromkeys(filter(_forbidden, present), "")
        empty = home / "no-google-credentials"
        empty.mkdir(parents=True, exist_ok=True)
        variables["CLOUDSDK_CONFIG"] = str(empty)
    if choice.purpose is not Purpose.DEPLOY or not choice.cli_is_real:
        variables["PULUMI_HOME"] = str(home / "pulumi")
        # The engine would look for the plugins of a stack's providers on the internet, and try five times, although
        # every one of them is attached.
        variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    variables["PULUMI_SKIP_UPDATE_CHECK"] = "1"
    variables["PATH"] = os.pathsep.join([str(choice.cli), present.get("PATH", "/usr/bin:/bin")])
    if debug_providers:
        variables["PULUMI_DEBUG_PROVIDERS"] = debug_providers
    return variables


def command(choice: Choice) -> PulumiCommand:
    """The CLI of ``choice`` for ``pulumi.automation`` (``LocalWorkspaceOptions(pulumi_command=…)``)."""
    return PulumiCommand(root=str(choice.cli.parent)) if choice.cli.name == "bin" else PulumiCommand()


def _forbidden(variable: str) -> bool:
    return variable.startswith(_ALWAYS_REMOVED) or variable in _REMOVED


def ensure_safe(purpose: Purpose, operation: Operation | str, choice: Choice, env: Mapping[str, str]) -> None:
    """Raise ``Refused`` where ``operation`` could reach a cloud although ``purpose`` forbids it.

    It looks at the variables that the engine will get, not only at the choice: the engine attaches what
    PULUMI_DEBUG_PROVIDERS names and loads a plugin for everything else.
    """
    if purpose is Purpose.DEPLOY:
        return
    doing = operation.value if isinstance(operation, Operation) else operation
    attached = attached_names(env)
    loose = sorted(name for name in GUARDED if name in choice.real or name not in attached)
    if loose and doing in _CHANGING:
        raise Refused(
            f"refused: `{doing}` for a {purpose.value} would use the real plugin {', '.join(loose)} and could change "
            "what is not the testbed's. Mend: attach the stand-in (testbed.engine.attach.standins), or deploy with "
            "`make up STACK=…`."
        )
    if purpose is not choice.purpose:
        raise Refused(f"refused: the engine was chosen for a {choice.purpose.value}, not for a {purpose.value}.")
    if found := sorted(key for key in env if env[key] and _forbidden(key) and key not in _OWN):
        raise Refused(
            f"refused: a {purpose.value} must not see {', '.join(found)}. Mend: build its variables by "
            "testbed.engine.choice.environment."
        )


_OWN: Final = frozenset({"CLOUDSDK_CONFIG", "PULUMI_DEBUG_PROVIDERS"})
"""Variables that ``environment`` sets itself after having removed them."""


def attached_names(env: Mapping[str, str]) -> Collection[str]:
    """The providers that PULUMI_DEBUG_PROVIDERS attaches."""
    return {part.partition(":")[0] for part in env.get("PULUMI_DEBUG_PROVIDERS", "").split(",") if ":" in part}
