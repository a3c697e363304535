"""Stack files as the commands see them: read, checked, and changed for one run without touching the file."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.settings import PROJECT, OrganisationStack, Settings, SettingsError, parse
from infra.settings.base import ENCRYPTED
from testbed.progress import Failure

ROOT = Path(__file__).resolve().parent.parent
STACKS = ROOT / "stacks"
Tree = dict[str, Any]


@dataclass(frozen=True)
class StackFile:
    """What ``Pulumi.<name>.yaml`` says. ``config`` has its keys without the project's name."""

    name: str
    config: Tree
    foreign: Tree
    """Configuration of providers (``gcp:project``), handed on as it is."""
    encryption: Tree
    """What Pulumi keeps in the file to decrypt its secrets with."""

    @property
    def parsed(self) -> Settings | OrganisationStack:
        """The checked settings. Values that only Pulumi can decrypt are checked when the program runs."""
        if self.plain_secrets is not None and self.config.get("ephemeral") not in (True, "true"):
            raise Failure(
                f"stack {self.name}: secrets: stand in clear in the stack file, which only a stack that is ephemeral "
                "may do.\nMend: take them out and set each with: pulumi config set --secret --path "
                f"'{PROJECT}:secrets.<airflow>.<key>'"
            )
        try:
            return parse({key: _text(value) for key, value in self.config.items() if not _whole(key, value)})
        except SettingsError as error:
            raise Failure(f"stack {self.name}: {error}") from None

    @property
    def settings(self) -> Settings:
        """The checked settings of an environment. Refuses the bootstrap's."""
        parsed = self.parsed
        if isinstance(parsed, Settings):
            return parsed
        raise Failure(
            f"stack {self.name} is the bootstrap of an organisation and has no Airflow.\nMend: `pulumi up -s "
            f"{self.name}` (docs/bootstrap.md), or name the stack of an environment with STACK=."
        )

    def with_config(self, config: Tree) -> "StackFile":
        """The same stack with another configuration."""
        return StackFile(self.name, config, self.foreign, self.encryption)

    @property
    def plain_secrets(self) -> str | None:
        """Secrets that stand in clear in the file, as JSON; None where there are none, or Pulumi has encrypted them."""
        given = self.config.get("secrets")
        return None if not given or _encrypted(given) else json.dumps(given)

    def whole_config(self) -> Tree:
        """Everything under ``config:``, as Pulumi wants it; secrets in clear stay out of Pulumi's files."""
        config = copy.deepcopy(self.config)
        if self.plain_secrets is not None:
            del config["secrets"]
        return {**self.foreign, **{f"{PROJECT}:{key}": value for key, value in config.items()}}


def read(name: str, folder: Path = STACKS) -> StackFile:
    """The stack file of ``name``. Refuses a stack that has none, naming those that have."""
    path = folder / f"Pulumi.{name}.yaml"
    known = sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in folder.glob("Pulumi.*.yaml"))
    if not path.is_file():
        raise Failure(f"there is no stack '{name}': {path} is missing.\nMend: STACK= one of {', '.join(known)}.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise Failure(f"stack {name}: {path} is not valid YAML.\n{error}") from None
    config = content.pop("config", None) or {}
    prefix = f"{PROJECT}:"
    own = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    foreign = {key: value for key, value in config.items() if not key.startswith(prefix)}
    return StackFile(name, own, foreign, content)


def _text(value: object) -> str:
    """A value as Pulumi hands it to a program. Its own commands write ``true`` into stack files as the text "true"."""
    return value if isinstance(value, str) else json.dumps(_readable(value))


def _whole(key: str, value: object) -> bool:
    """Whether all ``secrets`` are encrypted in one piece: not even their names can be read then."""
    return key == "secrets" and isinstance(value, dict) and "secure" in value


def _readable(value: object) -> object:
    """``value`` with a word in place of each part that only Pulumi can decrypt."""
    if isinstance(value, dict):
        return ENCRYPTED if "secure" in value else {key: _readable(inner) for key, inner in value.items()}
    return [_readable(inner) for inner in value] if isinstance(value, list) else value


def _encrypted(value: object) -> bool:
    if isinstance(value, dict):
        return "secure" in value or any(_encrypted(inner) for inner in value.values())
    return isinstance(value, list) and any(_encrypted(inner) for inner in value)
