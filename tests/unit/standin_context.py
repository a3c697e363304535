"""Calls to a stand-in without an engine: as much of a gRPC context as the stand-ins use."""

from typing import NoReturn


class Aborted(Exception):
    """What a gRPC context raises when a call is refused."""


class Context:
    """One connection."""

    def peer(self) -> str:
        return "somewhere"

    def abort(self, _code: object, message: str) -> NoReturn:
        raise Aborted(message)
