"""Changes of a stack file's way in."""

from collections.abc import Callable

from tests.unit.stack_files import Tree


def way_in(**what: object) -> Callable[[Tree], object]:
    return lambda tree: tree["ingress"].update(what)


def two_teams(**what: object) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        tree["airflows"].append({**tree["airflows"][0], "name": "team-b"})
        tree["ingress"].update(what)

    return change


def given(pair: tuple[str, str], key: str | None = None) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        tree["ingress"]["tls"] = {"kind": "given", "certificate": pair[0]}
        tree["ingressKey"] = key or pair[1]

    return change
