"""An engine with its stand-ins attached, for one run of ``pulumi.automation`` or of the CLI."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pulumi.automation import LocalWorkspaceOptions

from testbed.engine.attach import standins
from testbed.engine.choice import Choice, Operation, Purpose, choose, command, ensure_safe, environment
from testbed.progress import Progress


@dataclass(frozen=True)
class Engine:
    """What to hand to ``pulumi.automation``."""

    choice: Choice
    variables: Mapping[str, str]
    """To lay over this process's variables for every run."""

    def allow(self, operation: Operation | str) -> None:
        """Call it before every operation. Raises ``Refused`` where the operation could reach a cloud in a test."""
        ensure_safe(self.choice.purpose, operation, self.choice, self.variables)

    def options(self, more: Mapping[str, str] | None = None, work_dir: Path | None = None) -> LocalWorkspaceOptions:
        """Options for ``create_or_select_stack``: this engine's CLI and variables, and ``more`` variables."""
        return LocalWorkspaceOptions(
            work_dir=str(work_dir) if work_dir else None,
            pulumi_command=command(self.choice),
            env_vars={**self.variables, **(more or {})},
        )


@contextmanager
def engine(
    purpose: Purpose,
    home: Path,
    progress: Progress,
    *,
    needs_cloud: bool = True,
    kubeconfig: Path | str | None = None,
    backend: str | None = None,
    offline: bool = False,
) -> Iterator[Engine]:
    """Choose the parts for ``purpose``, attach the stand-ins among them, and yield what runs them.

    ``home`` is a folder for what must not be the user's own; ``needs_cloud`` and ``kubeconfig`` are as for ``choose``
    and ``standins``. ``backend`` is where the state is kept (a URL); default: for a deployment what the user logged in
    to, else a folder under ``home``. ``offline``: Kubernetes objects exist in the state alone.
    """
    choice = choose(purpose, progress, needs_cloud=needs_cloud)
    with standins(kubeconfig, choice.standins, offline=offline) as attached:
        variables = environment(choice, home, attached.debug_providers)
        if backend is None and purpose is not Purpose.DEPLOY:
            state = home / "state"
            state.mkdir(parents=True, exist_ok=True)
            backend = state.as_uri()
        if backend is not None:
            variables["PULUMI_BACKEND_URL"] = backend
        yield Engine(choice, variables)
