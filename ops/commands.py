"""How every command ends: what a person did wrong, or stopped, is told as such; a traceback is a mistake of ours."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from testbed.progress import Failure

INTERRUPTED = 130
Arguments = ParamSpec("Arguments")


def command(main: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """``main`` of a command, which returns the exit code: 1 for a Failure, whose text is printed, 130 where somebody
    interrupted it."""

    @wraps(main)
    def told(*arguments: Arguments.args, **named: Arguments.kwargs) -> int:
        try:
            return main(*arguments, **named)
        except Failure as failure:
            print(f"\n{failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ninterrupted. Mend: run the command again; it goes on where it stopped.", file=sys.stderr)
            return INTERRUPTED

    return told
