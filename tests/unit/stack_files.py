"""The project's own stack files as settings, with changes that a test asks for."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from infra.program import run
from infra.settings import PROJECT, Settings, parse
from tests.filled import filled
from tests.unit.recorder import Recording, record

ROOT = Path(__file__).resolve().parents[2]
Tree = dict[str, Any]


def stack_config(stack: str) -> Tree:
    """The stack file's configuration, keys without the project's name, placeholders filled in."""
    text = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)["config"]
    tree: Tree = filled(
        {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(f"{PROJECT}:")}
    )
    return tree


def changed(tree: Tree, change: Callable[[Tree], object] | None) -> Tree:
    """A copy of ``tree`` after ``change`` had its way with it."""
    own = copy.deepcopy(tree)
    if change:
        change(own)
    return own


def settings(tree: Tree) -> Settings:
    """Settings as Pulumi would hand them over: a JSON text for each key."""
    parsed = parse({key: json.dumps(value) for key, value in tree.items()})
    assert isinstance(parsed, Settings), "the bootstrap's stack"
    return parsed


def deployed(
    stack: str = "local", change: Callable[[Tree], object] | None = None, *, preview: bool = False
) -> Recording:
    """What the program registers for a stack file."""
    tree = changed(stack_config(stack), change)
    chosen = parse({key: json.dumps(value) for key, value in tree.items()})
    return record(lambda: run(chosen, stack), preview=preview)
