"""Drives the Pulumi engine on a stack: previews, updates, and says what goes wrong in words."""

import json
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi import automation
from pulumi.automation import events

from infra.program import run
from infra.settings import PROJECT, Settings, SettingsError, load
from ops.leaving import refuse_departures
from ops.state_folder import passphrase, release_dead_lock
from ops.target import Target
from testbed.engine import session
from testbed.engine.choice import Operation, Purpose
from testbed.engine.session import engine
from testbed.progress import Failure, Progress

SLOW_SECONDS = 5.0
LOCKED_OUT = (
    "log in to where the state is, or set PULUMI_CONFIG_PASSPHRASE. If it is lost, take 'encryptionsalt' and "
    "every 'secure' value out of the stack file and set them anew; a state that it encrypted is lost with it "
    "(docs/recovery.md)."
)
LOCKED = (
    "another run is at work on the stack, or died there. Wait for it; if it is dead (look at CI, ask colleagues), run "
    "`make unlock STACK={stack}` (docs/state.md)."
)
UNCHANGED = frozenset({"same", "read", "refresh"})
"""Steps that change nothing: what the program looks up in the cluster is read at every update."""
PROTECTED = "if it really is to go, set ephemeral: true in the stack file, bring it up, then delete it."
LEAVING = (
    "if one Airflow is to go, put it back with `state: retired`, bring the stack up, then remove it (docs/teams.md). "
    "Else, "
)
Observer = Callable[[events.EngineEvent], None]


@dataclass
class Outcome:
    """What a run changed, by kind of change, and the stack's outputs after it."""

    changes: dict[str, int]
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """How many resources were not the same before."""
        return sum(count for change, count in self.changes.items() if change not in UNCHANGED)

    def __str__(self) -> str:
        words = [f"{count} {change}" for change, count in sorted(self.changes.items()) if change not in UNCHANGED]
        return f"{', '.join(words) or '0 changes'} ({self.changes.get('same', 0)} unchanged)"


@dataclass
class Engine:
    """The engine on one target, for as long as ``engine_on`` holds it."""

    target: Target
    stack: automation.Stack
    progress: Progress
    check: Callable[[Operation], None]
    policy_packs: Sequence[Path] = ()
    """Asked by previews about every resource."""

    def preview(self, show: Callable[[str], None], observe: Observer | None = None) -> Outcome:
        """What ``up`` would do, as a diff, line by line to ``show``. Changes nothing."""
        watch = _Watch(self.progress, observe)
        self.check(Operation.PREVIEW)
        self._refuse_departures()
        with self._explained(watch):
            result = self.stack.preview(
                on_output=show,
                on_event=watch.event,
                diff=True,
                color="never",
                policy_packs=[str(pack) for pack in self.policy_packs],
            )
        return Outcome(_by_name(result.change_summary))

    def preview_refresh(self, observe: Observer) -> Outcome:
        """Tell ``observe`` what of the stack is not what its state says. Changes nothing, the state neither."""
        watch = _Watch(self.progress, observe)
        self.check(Operation.PREVIEW)
        with self._explained(watch):
            result = self.stack.preview_refresh(on_event=watch.event, color="never", show_secrets=False)
        return Outcome(_by_name(result.change_summary))

    def up(self, observe: Observer | None = None) -> Outcome:
        """Make the stack what its file says. An interrupted or failed run goes on where it stopped.

        ``observe`` is told every event of the engine.
        """
        self.check(Operation.UP)
        self._refuse_departures()
        if self.target.protected:
            # Likewise for what the program no longer has: its deletion comes last, after all other changes were made.
            rehearsal = _Watch(self.progress)
            with self._explained(rehearsal):
                self.stack.preview(on_event=rehearsal.event, color="never")
        watch = _Watch(self.progress, observe)
        with self._explained(watch), _interruptible(watch):
            result = self.stack.up(on_event=watch.event, color="never")
        changes = _by_name(result.summary.resource_changes or {})
        return Outcome(changes, {key: output.value for key, output in result.outputs.items()})

    def rehearse_destroy(self) -> None:
        """Refuse a destruction while something is protected: the engine itself meets a protected resource only after it
        has deleted what depends on it. A preview meets it, too."""
        self.check(Operation.DESTROY)
        rehearsal = _Watch(self.progress)
        with self._explained(rehearsal, PROTECTED):
            self.stack.preview_destroy(on_event=rehearsal.event, color="never")

    def destroy(self, observe: Observer | None = None, targets: Sequence[str] = ()) -> Outcome:
        """Delete all that the stack has made, or only ``targets``, URNs, and all that depends on them.

        Refused while something is protected, and then nothing is deleted.
        """
        self.rehearse_destroy()
        watch = _Watch(self.progress, observe)
        with self._explained(watch, PROTECTED), _interruptible(watch):
            result = self.stack.destroy(
                on_event=watch.event,
                color="never",
                target=list(targets) or None,
                target_dependents=bool(targets) or None,
            )
        return Outcome(_by_name(result.summary.resource_changes or {}))

    def outputs(self) -> dict[str, Any]:
        """What the stack exported when it was last brought up."""
        return {key: output.value for key, output in self.stack.outputs().items()}

    def imported(self, state: str) -> None:
        """Take ``state``, as ``exported`` gave it, in place of what the stack has."""
        self.stack.import_stack(automation.Deployment(**json.loads(state)))

    def exported(self, stack: str = "") -> str:
        """What `pulumi stack export` prints: the state, its secrets encrypted; of another ``stack`` beside this one
        where that is named."""
        workspace = self.stack.workspace
        command = ["stack", "export", "--stack", stack or self.stack.name]
        return workspace.pulumi_command.run(command, workspace.work_dir, dict(workspace.env_vars)).stdout

    def _refuse_departures(self) -> None:
        if isinstance(self.target.parsed, Settings):
            refuse_departures(self.target.name, self.outputs(), self.target.parsed)

    @contextmanager
    def _explained(self, watch: "_Watch", protected: str = LEAVING + PROTECTED) -> Iterator[None]:
        try:
            yield
        except automation.errors.CommandError as error:
            problems = watch.problems or _errors_in(error)
            listed = "\n".join(f"  - {problem}" for problem in problems) or f"  - {error}"
            if watch.cancelled:
                raise Failure(
                    f"stack {self.target.name}: interrupted. What was under way:\n{listed}\n"
                    "Mend: run the command again; it goes on where it stopped."
                ) from None
            mend = "correct what is named above and run the command again; it goes on where it stopped."
            if any("protect" in problem for problem in problems):
                mend = protected
            if any("passphrase" in problem for problem in problems):
                mend = LOCKED_OUT
            if any("currently locked" in problem for problem in problems) or "currently locked" in str(error):
                problems = problems or _errors_in(error)
                mend = LOCKED.format(stack=self.target.name)
            raise Failure(
                f"stack {self.target.name}: the deployment did not succeed:\n{listed}\nMend: {mend}"
            ) from None


def _users_own_backend() -> bool:
    """Whether the user has a place for state: named by the environment, or by the login of an installed Pulumi."""
    return bool(os.environ.get("PULUMI_BACKEND_URL") or shutil.which("pulumi"))


@contextmanager
def engine_on(
    target: Target,
    progress: Progress,
    purpose: Purpose = Purpose.DEPLOY,
    home: Path | None = None,
    offline: bool = False,
) -> Iterator[Engine]:
    """The engine for ``target``, with the parts that ``purpose`` calls for; prints which those are.

    A stack on the testbed keeps its state in ``home`` (default: below the state folder), encrypted with a passphrase
    that is made there. Every other stack uses the user's own backend and passphrase, if there are any. ``offline``:
    no cluster is reached, Kubernetes objects exist in the state alone.
    """
    # When an update fails, the SDK goes on telling an engine that has left, and logs a traceback for each try.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    home = home or target.home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    kubeconfig = str(target.kubeconfig) if target.kubeconfig else None
    more = {"KUBECONFIG": kubeconfig} if kubeconfig else {}
    if offline:
        # Nothing is made that an interrupted run could lose sight of: the state is written once, at the end.
        more |= {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
    backend = None
    if target.testbed or purpose is not Purpose.DEPLOY or not _users_own_backend():
        (home / "state").mkdir(exist_ok=True)
        release_dead_lock(home, progress)
        backend = (home / "state").as_uri()
        more["PULUMI_CONFIG_PASSPHRASE"] = passphrase(home)
    with engine(
        purpose, home, progress, needs_cloud=target.on_google, kubeconfig=kubeconfig, backend=backend, offline=offline
    ) as parts:
        for line in parts.choice.describe().splitlines():
            progress.say(f"  {line}")
        yield Engine(target, _stack(target, home, parts, more), progress, parts.allow)


def _stack(target: Target, home: Path, parts: session.Engine, more: dict[str, str]) -> automation.Stack:
    workspace = home / "workspace"
    workspace.mkdir(exist_ok=True)
    _write_stack_file(target, workspace / f"Pulumi.{target.name}.yaml")
    options = parts.options(more, workspace)
    options.project_settings = automation.ProjectSettings(name=PROJECT, runtime="python")
    try:
        return automation.create_or_select_stack(target.name, PROJECT, lambda: _program(target), opts=options)
    except automation.errors.CommandError as error:
        listed = "\n".join(f"  - {line}" for line in _errors_in(error))
        raise Failure(f"stack {target.name}: its state can't be opened:\n{listed}\nMend: {LOCKED_OUT}") from None


def _write_stack_file(target: Target, path: Path) -> None:
    """The stack file for this run. What Pulumi itself put into it, to decrypt its secrets with, stays."""
    # By hand: the Automation API's own reader fails on configuration values that are no text.
    kept = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept.pop("config", None)
    content = {**kept, **target.stack.encryption, "config": target.stack.whole_config()}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _program(target: Target) -> None:
    try:
        settings = load(target.stack.plain_secrets)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    run(settings, target.name)


@contextmanager
def _interruptible(watch: "_Watch") -> Iterator[None]:
    """Ctrl-C reaches the engine, too, which then finishes what is under way; we wait for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        watch.interrupted()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Watch:
    """Turns the engine's events into progress, and remembers what failed and why."""

    def __init__(self, progress: Progress, observe: Observer | None = None) -> None:
        self._progress = progress
        self._observe = observe
        self._started: dict[str, float] = {}
        self._done = 0
        self.problems: list[str] = []
        self.cancelled = False

    def interrupted(self) -> None:
        """Remember that a person pressed Ctrl-C, and say what comes of it."""
        self.cancelled = True
        self._progress.say("  interrupted: waiting for what is under way (Ctrl-C again ends it at once)")

    def event(self, event: events.EngineEvent) -> None:
        """Take one event of the engine."""
        if self._observe:
            self._observe(event)
        if (before := event.resource_pre_event) and before.metadata.op != events.OpType.SAME:
            self._started[before.metadata.urn] = event.timestamp
            self._progress.note(self._under_way())
        if after := event.res_outputs_event:
            self._finished(after.metadata, event.timestamp)
        if failed := event.res_op_failed_event:
            self._started.pop(failed.metadata.urn, None)
        if said := event.diagnostic_event:
            self._diagnostic(said)
        if (broken := event.policy_event) and broken.enforcement_level == "mandatory":
            self.problems.append(f"{_title(broken.resource_urn or '::::')}: {broken.message} ({broken.policy_name})")

    def _finished(self, step: events.StepEventMetadata, now: float) -> None:
        began = self._started.pop(step.urn, None)
        self._done += 1
        if began is not None and now - began >= SLOW_SECONDS:
            self._progress.say(f"  {_title(step.urn)}: {step.op.value}, {now - began:.0f} s")
        self._progress.note(self._under_way())

    def _under_way(self) -> str:
        names = ", ".join(_title(urn) for urn in list(self._started)[:4])
        more = f" and {len(self._started) - 4} more" if len(self._started) > 4 else ""
        return f"{self._done} resources done; under way: {names}{more}" if names else f"{self._done} resources done"

    def _diagnostic(self, said: events.DiagnosticEvent) -> None:
        text = said.message.strip()
        if said.severity == "error" and text:
            where = f"{_title(said.urn)}: " if said.urn and "pulumi:pulumi:Stack" not in said.urn.split("::")[2] else ""
            if not text.startswith(("update failed", "preview failed")):
                self.problems.append(f"{where}{text}")
        elif text and said.urn:
            self._progress.note(f"{_title(said.urn)}: {text}")


def _errors_in(error: automation.errors.CommandError) -> list[str]:
    """What the CLI said went wrong, without the names of the streams that it said it on."""
    lines = [line.strip().removeprefix("stderr:").strip() for line in str(error).splitlines()]
    return [line for line in lines if "error" in line.lower()][:10] or [str(error)]


def _by_name(changes: Mapping[Any, int]) -> dict[str, int]:
    """Counts by plain names: the SDK gives some as enumeration members, some as text."""
    return {str(getattr(change, "value", change)): count for change, count in changes.items()}


def _title(urn: str) -> str:
    kind, name = urn.split("::")[2].rpartition(":")[2], urn.rpartition("::")[2]
    return f"{kind} {name}"
