"""Rules for dev stacks, and for what they are put on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.dev_stacks import PREFIX, StackCluster, StackDatabase, moment
from infra.settings.planning import RESERVED_CONNECTIONS
from infra.settings.sizes import connection_budgets

if TYPE_CHECKING:
    from infra.settings.environment import Settings


def dev_stack_problems(settings: "Settings") -> list[str]:
    """Everything that is wrong with a dev stack, or with a base of dev stacks."""
    return [*_kind_problems(settings), *_dev_stack_problems(settings), *_base_problems(settings)]


def _kind_problems(settings: "Settings") -> Iterator[str]:
    if settings.dev_stack is not None:
        return
    for key in ("cluster", "database"):
        if isinstance(getattr(settings, key), StackCluster | StackDatabase):
            yield f"{key}: kind 'stack' is for dev stacks, which `make dev` makes (docs/dev-stacks.md)"


def _dev_stack_problems(settings: "Settings") -> Iterator[str]:
    own = settings.dev_stack
    if own is None:
        return
    for key in ("cluster", "database"):
        part = getattr(settings, key)
        if not isinstance(part, StackCluster | StackDatabase) or part.stack != own.base:
            yield f"{key}: a dev stack stands on its base. Write kind: stack and stack: {own.base}"
    if not settings.ephemeral:
        yield "ephemeral: a dev stack is thrown away. Set it to true"
    if len(settings.airflows) != 1 or not settings.airflows[0].name.startswith(PREFIX):
        yield f"airflows: a dev stack has one, whose name begins with {PREFIX}"
    if settings.secrets:
        yield "secrets: a dev stack's settings are kept in clear in its state. Leave them out"
    if settings.network is not None:
        yield "network: is the base's. Leave it out"
    if settings.dev_stacks is not None:
        yield "devStacks: a dev stack is no base for others. Leave it out"
    if moment(own.expires) <= moment(own.created):
        yield f"devStack.expires: {own.expires} is not after created, {own.created}"


def _base_problems(settings: "Settings") -> Iterator[str]:
    asked = settings.dev_stacks
    if asked is None or settings.dev_stack is not None:
        return
    for airflow in settings.airflows:
        if airflow.name.startswith(PREFIX):
            yield (
                f"airflows.{airflow.name}: names that begin with {PREFIX} are those of dev stacks. Choose another one, "
                "or leave 'devStacks' out"
            )
    own = sum(connection_budgets(settings).values())
    needed = own + RESERVED_CONNECTIONS + asked.connections
    if settings.max_connections < needed:
        yield (
            f"devStacks.connections: {asked.connections} do not fit: the server has {settings.max_connections}, the "
            f"stack's own Airflows may hold {own}, and {RESERVED_CONNECTIONS} stay free. Set "
            f"database.maxConnections to at least {needed}, or ask for fewer"
        )
