"""Names are forever: a changed one destroys what had it. The graph of every stack, for review.

After a change that is meant: UPDATE_GOLDEN=1 python -m pytest tests/unit/test_names.py, then read the diff.
"""

import os
from pathlib import Path

import pytest

from tests.unit.recorder import Recording, Registered
from tests.unit.stack_files import deployed

GOLDEN = Path(__file__).with_name("golden")
STACKS = ["bootstrap", "dev", "local", "local-full", "prod", "staging"]


def described(one: Registered) -> str:
    """One line: type, name, parent, the object's own name and namespace where they are fixed, and its protection."""
    metadata = one.inputs.get("metadata", {})
    named = [one.inputs[key] for key in ("name", "accountId", "secretId", "repositoryId") if key in one.inputs]
    place = "/".join(str(metadata[key]) for key in ("namespace", "name") if key in metadata) or "".join(named[:1])
    # The names of Jobs end in a checksum of what they run.
    fixed = place.rpartition("-")[0] + "-*" if one.kind == "Job" else place
    protected = " (protected)" if one.protect else ""
    return f"{one.type} {one.name} < {one.parent or '-'}{' = ' + fixed if fixed else ''}{protected}"


def graph(recording: Recording) -> str:
    return "".join(f"{line}\n" for line in sorted(described(r) for r in recording.resources))


@pytest.mark.parametrize("stack", STACKS)
def test_no_resource_has_changed_its_name_type_or_parent(stack: str) -> None:
    path = GOLDEN / f"{stack}.txt"
    now = graph(deployed(stack))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(now, encoding="utf-8")
    assert now == path.read_text(encoding="utf-8")


def test_every_stack_file_is_under_this_watch() -> None:
    files = (Path(__file__).resolve().parents[2] / "stacks").glob("Pulumi.*.yaml")
    assert sorted(file.name.split(".")[1] for file in files) == STACKS
