"""`make promote` and `make rollback`: which image a stack runs, written into its stack file and nothing else of it.

Version and digest are data, so a promotion is a pull request whose preview shows it. Comments and layout stay: only the
two values are replaced, at the places where YAML's own parser has found them.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from infra.settings import PROJECT
from infra.settings.dags import AirflowImage
from ops.commands import command
from ops.stack_file import ROOT
from testbed.progress import Failure


@dataclass(frozen=True)
class Image:
    """What one Airflow in a stack file runs."""

    airflow: str
    repository: str
    """Empty: the organisation's."""
    version: str
    digest: str
    """Empty: the tag is trusted."""

    def __str__(self) -> str:
        return f"{self.version}{f' ({self.digest[:19]}…)' if self.digest else ''}"


@dataclass(frozen=True)
class _Place:
    """Where an Airflow's image stands in the text of a stack file."""

    image: Image
    version: yaml.ScalarNode
    digest: yaml.ScalarNode | None


_AIRFLOWS: Final = f"{PROJECT}:airflows"


def images(text: str) -> list[Image]:
    """What the Airflows in the stack file ``text`` run."""
    return [place.image for place in _places(text)]


def with_image(text: str, airflows: Sequence[str], version: str, digest: str) -> str:
    """The stack file ``text`` with another image for ``airflows``; every other character as it was."""
    edits: list[tuple[int, int, str]] = []
    for place in _places(text):
        if place.image.airflow not in airflows:
            continue
        if place.digest is not None:
            edits.append((place.digest.start_mark.index, place.digest.end_mark.index, digest or "null"))
        elif digest:
            edits.append(_beside(text, place.version, digest))
        edits.append((place.version.start_mark.index, place.version.end_mark.index, _scalar(version)))
    for start, end, value in sorted(edits, reverse=True):
        text = text[:start] + value + text[end:]
    return text


def _beside(text: str, version: yaml.ScalarNode, digest: str) -> tuple[int, int, str]:
    """An insertion of a digest after the version: in braces beside it, else on a line of its own."""
    line_start = text.rfind("\n", 0, version.start_mark.index) + 1
    before = text[line_start : version.start_mark.index]
    if "{" in before:
        return version.end_mark.index, version.end_mark.index, f", digest: {digest}"
    line_end = text.find("\n", version.end_mark.index)
    end = len(text) if line_end < 0 else line_end
    indent = re.sub(r"[^ ]", " ", before[: before.index("version")])
    return end, end, f"\n{indent}digest: {digest}"


def _scalar(version: str) -> str:
    """``version`` as YAML reads it back as a text: 1.10 would be a number."""
    return version if yaml.safe_load(version) == version else f'"{version}"'


def _places(text: str) -> Iterator[_Place]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise Failure(f"the stack file is not valid YAML.\n{error}") from None
    airflows = _child(_child(root, "config"), _AIRFLOWS)
    for entry in airflows.value if isinstance(airflows, yaml.SequenceNode) else []:
        dags = _child(entry, "dags")
        version, digest = _child(dags, "version"), _child(dags, "digest")
        if not isinstance(version, yaml.ScalarNode):
            continue
        digest = digest if isinstance(digest, yaml.ScalarNode) else None
        pinned = "" if digest is None or digest.value in ("null", "~") else str(digest.value)
        image = Image(_text(entry, "name"), _text(dags, "repository"), str(version.value), pinned)
        yield _Place(image, version, digest)


def _child(node: Any, key: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _text(node: Any, key: str) -> str:
    found = _child(node, key)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


def promote(stack: str, airflow: str, version: str, digest: str, tree: Path = ROOT) -> str:
    """Write ``version`` and ``digest`` for ``airflow`` (default: every one) into the stack file; says what changed.

    Without ``digest``, what another stack file has for this version is taken: an image is built once, and what staging
    runs is what prod gets.
    """
    path, text = _read(stack, tree)
    chosen = _chosen(stack, images(text), airflow)
    if not version:
        raise Failure("which version to promote is not said.\nMend: VERSION= the image's tag, as the build printed it.")
    digest = digest or _known_digest(version, chosen[0].repository, tree)
    _refuse_malformed(version, digest)
    return _written(path, text, stack, chosen, {one.airflow: (version, digest) for one in chosen})


def rollback(stack: str, airflow: str, tree: Path = ROOT) -> str:
    """Write what the stack file said before the version that it has now; says what changed.

    What is committed is looked at, newest first; a change that is not committed yet is the newest.
    """
    path, text = _read(stack, tree)
    chosen = _chosen(stack, images(text), airflow)
    wanted: dict[str, tuple[str, str]] = {}
    name = path.relative_to(tree)
    for commit in _git(tree, "log", "--format=%H", "--", str(name)).split():
        try:
            before = {one.airflow: one for one in images(_git(tree, "show", f"{commit}:{name}"))}
        except Failure:
            continue  # deleted there, or no YAML
        for one in chosen:
            old = before.get(one.airflow)
            if one.airflow not in wanted and old and (old.version, old.digest) != (one.version, one.digest):
                wanted[one.airflow] = (old.version, old.digest)
        if len(wanted) == len(chosen):
            break
    if not wanted:
        raise Failure(
            f"stack {stack}: git knows no earlier version than {chosen[0]}.\n"
            f"Mend: `git fetch --unshallow`, or name one: make promote STACK={stack} VERSION=…"
        )
    return _written(path, text, stack, [one for one in chosen if one.airflow in wanted], wanted)


def promoted(stack: str, airflow: str, tree: Path = ROOT) -> str:
    """The version that the stack file has for ``airflow`` (default: for all of them, which must have the same)."""
    chosen = _chosen(stack, images(_read(stack, tree)[1]), airflow)
    if len({one.version for one in chosen}) > 1:
        listed = ", ".join(f"{one.airflow} {one.version}" for one in chosen)
        raise Failure(f"stack {stack}: its Airflows run different versions: {listed}.\nMend: AIRFLOW= one of them.")
    return chosen[0].version


def _written(path: Path, text: str, stack: str, chosen: Sequence[Image], wanted: dict[str, tuple[str, str]]) -> str:
    lines: list[str] = []
    for one in chosen:
        version, digest = wanted[one.airflow]
        new = Image(one.airflow, one.repository, version, digest)
        lines.append(f"  {one.airflow}: {one} -> {new}" if new != one else f"  {one.airflow}: is {one} already")
        text = with_image(text, [one.airflow], version, digest)
    path.write_text(text, encoding="utf-8")
    return "\n".join(
        [
            f"{path.name}:",
            *lines,
            f"Next: make diff STACK={stack} BASE=HEAD; commit it; its pull request shows the same.",
        ]
    )


def _read(stack: str, tree: Path) -> tuple[Path, str]:
    path = tree / "stacks" / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = sorted(file.name.split(".")[1] for file in path.parent.glob("Pulumi.*.yaml"))
        raise Failure(f"there is no stack '{stack}'.\nMend: STACK= one of {', '.join(known)}.")
    return path, path.read_text(encoding="utf-8")


def _chosen(stack: str, found: Sequence[Image], airflow: str) -> list[Image]:
    names = ", ".join(one.airflow for one in found)
    if not found:
        raise Failure(f"stack {stack} has no Airflow.\nMend: STACK= the stack of an environment.")
    chosen = [one for one in found if not airflow or one.airflow == airflow]
    if not chosen:
        raise Failure(f"stack {stack} has no Airflow '{airflow}'.\nMend: AIRFLOW= one of {names}.")
    if len({one.repository for one in chosen}) > 1:
        raise Failure(f"stack {stack}: its Airflows run different images.\nMend: AIRFLOW= one of {names}.")
    return chosen


def _known_digest(version: str, repository: str, tree: Path) -> str:
    """The digest that stack files have for ``version``; none where the tag is trusted everywhere."""
    known: dict[str, str] = {}
    for path in sorted((tree / "stacks").glob("Pulumi.*.yaml")):
        for one in images(path.read_text(encoding="utf-8")):
            if one.version == version and one.repository == repository and one.digest:
                known[one.digest] = path.name
    if len(known) == 1:
        return next(iter(known))
    where = "; ".join(f"{name} has {digest}" for digest, name in known.items())
    raise Failure(
        f"the digest of {version} is not known: {where or 'no stack file has this version'}.\n"
        "Mend: DIGEST= what the push printed; or ask the registry: gcloud artifacts docker images describe "
        f"<repository>:{version} --format='value(image_summary.digest)'"
    )


def _refuse_malformed(version: str, digest: str) -> None:
    try:
        AirflowImage(version=version, digest=digest or None)
    except ValidationError as error:
        wrong = ", ".join(f"{str(one['loc'][0]).upper()}" for one in error.errors())
        raise Failure(
            f"{wrong}: not of the form of a tag (v1.4.0, at most 63 characters) or of a digest (sha256: and 64 digits "
            "or letters a to f).\nMend: copy them as the build printed them."
        ) from None


def _git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


@command
def main(arguments: Sequence[str], tree: Path = ROOT) -> int:
    """Run one of them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="ops.promote", description=__doc__)
    parser.add_argument("command", choices=("promote", "rollback", "promoted"))
    parser.add_argument("--stack", required=True)
    parser.add_argument("--airflow", default="")
    parser.add_argument("--version", default="")
    parser.add_argument("--digest", default="")
    chosen = parser.parse_args(arguments)
    if chosen.command == "promote":
        print(promote(chosen.stack, chosen.airflow, chosen.version, chosen.digest, tree))
    elif chosen.command == "promoted":
        print(promoted(chosen.stack, chosen.airflow, tree))
    else:
        print(rollback(chosen.stack, chosen.airflow, tree))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
