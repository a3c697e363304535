"""A program of this project, of any revision, on the real engine with stand-ins for every provider.

No cloud, no cluster, no credentials: what it makes exists in a state below ``home`` alone. The program is what Pulumi
itself would run, ``infra/__main__.py`` in a folder. So nothing here may import ``infra``: it would be this revision's.
"""

import contextlib
import json
import logging
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pulumi
import yaml
from pulumi import automation
from pulumi.automation import events
from pulumi.runtime import config as runtime_config

from ops.placeholders import filled
from testbed.engine.choice import Operation, Purpose
from testbed.engine.session import engine
from testbed.progress import Failure, Progress

PASSPHRASE: Final = "what is made here exists nowhere else"  # noqa: S105 (it protects nothing)
ENCRYPTED: Final = "(encrypted)"
"""Stands for a value that is secret: infra/settings/base.py knows it."""
SECRET_KEYS: Final = (
    "secrets",
    "alertSecrets",
    "databaseAdministratorPassword",
    "gateSecret",
    "ingressKey",
    "logsPassword",
)
"""Settings that are secret even where they stand in clear, as an ephemeral stack may have them."""
Tree = dict[str, Any]
Observer = Callable[[events.EngineEvent], None]


@dataclass(frozen=True)
class OfflineFile:
    """A stack file for a run without credentials: placeholders filled in, no secret in it."""

    project: str
    plain: Tree
    """What may stand in clear, keys with the project's name."""
    secret: dict[str, str]
    """Settings that Pulumi keeps secret, as JSON texts with a word in place of each value."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """What stands in the file for each secret value, by its path: tells whether it was changed, not what it is."""

    @property
    def own(self) -> Tree:
        """The project's own settings, keys without its name, secrets as words."""
        prefix = f"{self.project}:"
        known = {key.removeprefix(prefix): value for key, value in self.plain.items() if key.startswith(prefix)}
        return {**known, **{key.removeprefix(prefix): json.loads(text) for key, text in self.secret.items()}}


def offline_file(tree: Path, stack: str) -> OfflineFile:
    """The file of ``stack`` below ``tree``."""
    project = str(yaml.safe_load((tree / "Pulumi.yaml").read_text(encoding="utf-8"))["name"])
    path = tree / "stacks" / f"Pulumi.{stack}.yaml"
    try:
        config: Tree = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("config") or {}
    except yaml.YAMLError as error:
        raise Failure(f"stack {stack}: {path.name} is not valid YAML.\n{error}") from None
    digests: dict[str, str] = {}
    plain: Tree = {}
    secret: dict[str, str] = {}
    for key, value in config.items():
        name = key.partition(":")[2]
        if name in SECRET_KEYS or _has_secure(value):
            # Encrypted in one piece, not even the names in it can be read: it is left out.
            if not (name == "secrets" and isinstance(value, dict) and "secure" in value):
                secret[key] = json.dumps(_covered(value, name, digests))
            else:
                digests[name] = str(value["secure"])
        else:
            plain[key] = filled(value)
    return OfflineFile(project, plain, secret, digests)


def _covered(value: Any, path: str, digests: dict[str, str]) -> Any:
    """``value`` with a word in place of each secret in it."""
    if isinstance(value, dict) and "secure" not in value:
        return {key: _covered(inner, f"{path}.{key}", digests) for key, inner in value.items()}
    if isinstance(value, list):
        return [_covered(inner, f"{path}[{index}]", digests) for index, inner in enumerate(value)]
    if not isinstance(value, dict) and not path.startswith(SECRET_KEYS):
        return value
    digests[path] = str(value["secure"] if isinstance(value, dict) else value)
    return ENCRYPTED


def _has_secure(value: Any) -> bool:
    if isinstance(value, dict):
        return "secure" in value or any(_has_secure(inner) for inner in value.values())
    return isinstance(value, list) and any(_has_secure(inner) for inner in value)


@dataclass
class OfflineRun:
    """One program on one state."""

    tree: Path
    stack: str
    engine: automation.Stack
    allow: Callable[[Operation], None]

    def up(self) -> None:
        """Bring it up. Raises Failure with what the program or a provider refuses."""
        said = _Said(self.tree)
        self.allow(Operation.UP)
        with self._explained(said):
            # Not the Automation API's own result, which costs three more runs of the CLI.
            vars(self.engine).update(outputs=dict, info=lambda *_: SimpleNamespace(resource_changes={}))
            self.engine.up(on_event=said.event, color="never")

    def preview(self, observe: Observer) -> None:
        """Tell ``observe`` what an update would do."""
        said = _Said(self.tree, observe)
        self.allow(Operation.PREVIEW)
        with self._explained(said):
            self.engine.preview(on_event=said.event, color="never")

    @contextlib.contextmanager
    def _explained(self, said: "_Said") -> Iterator[None]:
        try:
            yield
        except automation.errors.CommandError as error:
            problems = said.problems or [str(error)]
            raise Failure("\n".join(dict.fromkeys(problems))) from None


@contextlib.contextmanager
def offline(tree: Path, stack: str, file: OfflineFile, home: Path, progress: Progress) -> Iterator[OfflineRun]:
    """The program in ``tree`` for ``stack``, configured as ``file`` says, on the state below ``home``."""
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    workspace = home / "workspace"
    workspace.mkdir(exist_ok=True)
    (workspace / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": file.plain}), encoding="utf-8")
    more = {
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        # Nothing is made that an interrupted run could lose sight of: the state is written once, at the end.
        "PULUMI_EXPERIMENTAL": "true",
        "PULUMI_SKIP_CHECKPOINTS": "true",
    }
    with engine(Purpose.OFFLINE_DIFF, home, progress, offline=True) as parts:
        options = parts.options(more, workspace)
        options.project_settings = automation.ProjectSettings(name=file.project, runtime="python")
        made = automation.create_or_select_stack(stack, file.project, lambda: _program(tree, file.secret), opts=options)
        yield OfflineRun(tree, stack, made, parts.allow)


def _program(tree: Path, secret: Mapping[str, str]) -> None:
    known = {**runtime_config.CONFIG.get(), **secret}
    runtime_config.set_all_config(known, list(secret))
    try:
        runpy.run_path(str(tree / "infra"), run_name="__main__")
    except SystemExit as left:  # it has said why
        if left.code:
            raise pulumi.RunError("") from None


class _Said:
    """Remembers what the engine said went wrong."""

    def __init__(self, tree: Path, observe: Observer | None = None) -> None:
        self._tree = tree
        self._observe = observe
        self.problems: list[str] = []

    def event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if self._observe:
            self._observe(event)
        said = event.diagnostic_event
        if said is None or said.severity != "error":
            return
        text = said.message.strip().removeprefix("error: ")
        if text and not text.startswith(("update failed", "preview failed")):
            kind = said.urn.split("::")[2].rpartition(":")[2] if said.urn else "Stack"
            where = "" if kind == "Stack" or not said.urn else f"{kind} {said.urn.rpartition('::')[2]}: "
            self.problems.append(where + in_short(text, self._tree))


def in_short(text: str, tree: Path) -> str:
    """An error's text; of a traceback where in ``tree`` it happened and the last line."""
    if "Traceback (most recent call last)" not in text:
        return text
    frames = re.findall(rf'File "{re.escape(str(tree))}/([^"]+)", line (\d+)', text)
    where = f"{frames[-1][0]}, line {frames[-1][1]}: " if frames else ""
    return f"the program fails: {where}{text.strip().splitlines()[-1]}"


def main(arguments: list[str]) -> int:
    """Bring up the program in the folder TREE for STACK, with its state in HOME, in a process of its own."""
    tree, stack, home = Path(arguments[0]), arguments[1], Path(arguments[2])
    sys.path.insert(0, str(tree))
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            quiet = Progress(out=nowhere)
            with offline(tree, stack, offline_file(tree, stack), home, quiet) as run:
                run.up()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
