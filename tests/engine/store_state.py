"""Stores the state that today's program gives a stack: python -m tests.engine.store_state prod-2

States are kept for ever: an environment that was made by any of them must survive today's program. Run this after a
release, under a new name; never change what is there.
"""

import gzip
import sys
import tempfile
from pathlib import Path

from tests.engine.stacks import OfflineStack, offline_stack

STATES = Path(__file__).with_name("states")
PASSPHRASE = "stored states hold nothing but invented secrets"


def stored(state: str, home: Path) -> OfflineStack:
    """The stack of the stored ``state`` (``prod-1``), with that state, in ``home``."""
    stack = _prepared(state, home)
    with stack.engine() as engine:
        engine.imported(gzip.decompress((STATES / f"{state}.json.gz").read_bytes()).decode())
    return stack


def store(state: str) -> Path:
    """Bring the stack up from nothing and store what the engine then knows."""
    path = STATES / f"{state}.json.gz"
    if path.exists():
        raise SystemExit(f"{path} is there already. Mend: choose the next number.")
    with tempfile.TemporaryDirectory() as home:
        stack = _prepared(state, Path(home))
        stack.up()
        with stack.engine() as engine:
            exported = engine.exported()
    path.write_bytes(gzip.compress(exported.encode(), mtime=0))
    return path


def _prepared(state: str, home: Path) -> OfflineStack:
    (home / "passphrase").write_text(PASSPHRASE, encoding="utf-8")
    return offline_stack(state.rpartition("-")[0], home)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(store(name))
