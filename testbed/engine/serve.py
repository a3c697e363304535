"""``python -m testbed.engine.serve``: the stand-ins as a process of their own, for use with the plain CLI.

Prints the value for ``PULUMI_DEBUG_PROVIDERS`` on standard output, then serves until it is interrupted.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from testbed.engine.attach import NAMES, standins
from testbed.progress import Failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m testbed.engine.serve", description=__doc__)
    parser.add_argument("--kubeconfig", help="for Kubernetes providers that name none (default: $KUBECONFIG)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="which stand-ins (default: all)")
    options = parser.parse_args(arguments)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        with standins(options.kubeconfig, options.only) as attached:
            print(attached.debug_providers, flush=True)
            over.wait()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
