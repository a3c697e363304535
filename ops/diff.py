"""`make diff`: what the working tree changes in a stack against a base revision, with no cloud and no credentials.

The base's own program is brought up by the real engine against stand-ins, into a state that is thrown away; then the
working tree's program is previewed on it. The base's state is cached by everything that it depends on.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.settings import AirflowState, Settings, SettingsError, parse
from ops.commands import command
from ops.diff_render import FORMATS
from ops.diff_report import ALLOWING_LABEL, Report, Seen
from ops.leaving import refuse_departures
from ops.offline import OfflineFile, offline, offline_file
from policy.guardrails import ExceptionsError, check
from policy.resource import Resource
from testbed.build import cached
from testbed.engine.cli import PULUMI_VERSION
from testbed.progress import Failure, Progress

ROOT: Final = Path(__file__).resolve().parent.parent
PROGRAM: Final = ("infra", "components", "Pulumi.yaml", "requirements.txt")
"""What a stack's program is made of, besides its stack file. Stand-ins and engine are always this revision's."""
KEPT_STATES: Final = 12
FLAGGED: Final = 3
"""Exit code where what was asked for is known and must not be merged as it is."""


@dataclass(frozen=True)
class Base:
    """A revision, brought up."""

    name: str
    commit: str
    file: OfflineFile | None
    """None where it does not have the stack: everything is new."""
    state: Path | None


def diff(stack: str, base: str, progress: Progress, allow: Sequence[str] = (), tree: Path = ROOT) -> Report:
    """What the working tree at ``tree`` changes in ``stack`` against the revision ``base``.

    ``allow`` are the labels that were given. Raises Failure for a revision or stack that is not there, and for a
    program that fails.
    """
    commit = _commit(tree, base)
    if not (tree / "stacks" / f"Pulumi.{stack}.yaml").is_file():
        known = sorted(file.name.split(".")[1] for file in (tree / "stacks").glob("Pulumi.*.yaml"))
        raise Failure(f"there is no stack '{stack}' in the working tree.\nMend: STACK= one of {', '.join(known)}.")
    head_file = offline_file(tree, stack)
    parsed = _parsed(stack, head_file)
    with tempfile.TemporaryDirectory(prefix="airflow-platform-diff-") as home:
        before = brought_up(tree, stack, base, commit, progress)
        outputs, protected = laid_out(before, stack, Path(home))
        refused = _refused_departures(stack, outputs, parsed)
        seen = Seen(protected)
        try:
            with offline(tree, stack, head_file, Path(home), _quiet()) as run:
                run.preview(seen.event)
        except Failure as failure:
            raise Failure(
                f"stack {stack}: the working tree's program can't be previewed:\n{_listed(str(failure))}\n"
                "Mend: correct what is named; nothing was changed."
            ) from None
    return Report(
        stack=stack,
        base=base,
        commit=commit,
        head="the working tree",
        resources=seen.sorted(),
        unchanged=seen.unchanged,
        secrets=_changed_secrets(before.file, head_file),
        refused=refused,
        violations=_violations(seen, parsed),
        allowed=ALLOWING_LABEL in allow,
    )


def _parsed(stack: str, file: OfflineFile) -> Any:
    try:
        return parse({key: value if isinstance(value, str) else json.dumps(value) for key, value in file.own.items()})
    except SettingsError as error:
        raise Failure(f"stack {stack}, the working tree: {error}") from None


def _refused_departures(stack: str, outputs: dict[str, Any], parsed: Any) -> tuple[str, ...]:
    if not isinstance(parsed, Settings):
        return ()
    try:
        refuse_departures(stack, outputs, parsed)
    except Failure as failure:
        return (str(failure),)
    return ()


def _violations(seen: Seen, parsed: Any) -> tuple[str, ...]:
    planned = [
        Resource(state.type, state.urn.rpartition("::")[2], state.inputs or {}, bool(state.protect))
        for state in seen.planned.values()
    ]
    ephemeral = isinstance(parsed, Settings) and parsed.ephemeral
    airflows = parsed.airflows if isinstance(parsed, Settings) else ()
    leaving = [airflow.name for airflow in airflows if airflow.state is AirflowState.RETIRED]
    try:
        found = check(planned, ephemeral=ephemeral, leaving=leaving)
    except ExceptionsError as error:
        raise Failure(f"the guardrails' exceptions: {error}\nMend: correct policy/exceptions.yaml.") from None
    return tuple(map(str, found))


def _changed_secrets(before: OfflineFile | None, after: OfflineFile) -> tuple[str, ...]:
    known = before.digests if before else {}
    return tuple(
        sorted(path for path in {*known, *after.digests} if known.get(path) != after.digests.get(path))
        if before
        else ()
    )


def brought_up(tree: Path, stack: str, name: str, commit: str, progress: Progress) -> Base:
    """The revision ``commit``, brought up; from the cache where nothing that it depends on is another."""
    file = f"stacks/Pulumi.{stack}.yaml"
    objects = _git(tree, "ls-tree", commit, "--", *PROGRAM, file)
    if file not in objects:
        return Base(name, commit, None, None)

    def bring_up(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="airflow-platform-base-") as made:
            checkout, home = Path(made) / "tree", Path(made) / "home"
            _check_out(tree, commit, [*PROGRAM, file], checkout)
            # In a process of its own: this one has the working tree's program loaded.
            done = subprocess.run(
                [sys.executable, "-m", "ops.offline", str(checkout), stack, str(home)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), str(ROOT)])},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise Failure(
                    f"stack {stack}: the program of {name} ({commit[:12]}) does not come up:\n"
                    f"{_listed(done.stderr.strip()[-4000:])}\nMend: choose another BASE=; what is wrong is not in your "
                    "change."
                )
            shutil.copytree(home / "state", folder / "state")
            shutil.copytree(checkout, folder / "tree", ignore=shutil.ignore_patterns("infra", "components", "*.txt"))

    inputs: dict[str, str | bytes | Path] = {"objects": objects, "engine": PULUMI_VERSION, "stack": stack}
    for part in ("testbed/engine", "ops/offline.py", "ops/placeholders.py", "requirements.txt"):
        inputs[part] = ROOT / part
    folder = cached(f"offline-state-{stack}", inputs, bring_up, progress, f"bringing {name} up offline, stack {stack}")
    _forget_old(folder, stack)
    return Base(name, commit, offline_file(folder / "tree", stack), folder / "state")


def _forget_old(folder: Path, stack: str) -> None:
    """Keep the states that were used last."""
    folder.touch()
    states = [path for path in folder.parent.glob(f"offline-state-{stack}-*") if path.is_dir()]
    for old in sorted(states, key=lambda path: path.stat().st_mtime)[:-KEPT_STATES]:
        shutil.rmtree(old, ignore_errors=True)


def laid_out(base: Base, stack: str, home: Path) -> tuple[dict[str, Any], frozenset[str]]:
    """Lay the base's state below ``home``; its outputs, and the URNs that it protects.

    The protection itself is taken off: a protected resource would end the preview, and the rest would not be seen.
    """
    if base.state is None:
        return {}, frozenset()
    shutil.copytree(base.state, home / "state")
    (path,) = (home / "state" / ".pulumi" / "stacks").rglob(f"{stack}.json")
    state = json.loads(path.read_text(encoding="utf-8"))
    resources: list[dict[str, Any]] = state["checkpoint"]["latest"].get("resources") or []
    protected = frozenset(one["urn"] for one in resources if one.pop("protect", False))
    path.write_text(json.dumps(state), encoding="utf-8")
    outputs = next((one.get("outputs") or {} for one in resources if one["type"] == "pulumi:pulumi:Stack"), {})
    return outputs, protected


def _commit(tree: Path, revision: str) -> str:
    if not revision:
        raise Failure("which revision to compare with is not said.\nMend: BASE=origin/main, a tag, or a commit.")
    try:
        return _git(tree, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    except Failure:
        raise Failure(
            f"there is no revision '{revision}' here.\nMend: `git fetch origin`, or name another one with BASE= "
            "(a branch, a tag, a commit)."
        ) from None


def _check_out(tree: Path, commit: str, paths: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit, "--", *paths], cwd=tree, capture_output=True, check=False
    )
    if done.returncode:
        raise Failure(f"{commit[:12]} is no revision of this project: {done.stderr.decode(errors='replace').strip()}")
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def _listed(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _quiet() -> Progress:
    return Progress(out=io.StringIO())


@command
def main(arguments: Sequence[str]) -> int:
    """Print the difference; 0 if it may be merged, ``FLAGGED`` if not, 1 if there is none to show."""
    parser = argparse.ArgumentParser(prog="ops.diff", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--base", default="origin/main")
    parser.add_argument("--format", default="text", choices=sorted(FORMATS))
    parser.add_argument("--allow", default="", help="labels, separated by commas")
    chosen = parser.parse_args(arguments)
    report = diff(chosen.stack, chosen.base, Progress(), chosen.allow.split(","))
    print(FORMATS[chosen.format](report))
    return 0 if report.passes else FLAGGED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
