"""How long the offline preview of a stack takes, beside what importing the SDKs takes: `make bench`.

Both are measured in this one run, each in a process of its own, several times; the least of each counts, because what
else the machine does only ever adds to it. The bound that is printed is four imports and 0.02 s a resource.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USED = """
import sys
import infra.program
print("import pulumi.automation, " + ", ".join(name for name in sys.modules if name.startswith("pulumi")))
"""
PREVIEW = """
import sys
from pathlib import Path
from tests.engine.stacks import offline_stack
print(len(offline_stack(sys.argv[1], Path(sys.argv[2])).preview().by_resource))
"""
REPEATS = 3
SECONDS_A_RESOURCE = 0.02
IMPORTS_ALLOWED = 4


def timed(code: str, *arguments: str) -> tuple[float, str]:
    """The seconds that a new process takes for ``code``, and what it printed."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - began, done.stdout


def main(stack: str) -> None:
    """Measure and print."""
    # The SDKs as the program uses them: Google's is imported a service at a time.
    used = timed(USED)[1]
    imports = min(timed(used)[0] for _ in range(REPEATS))
    previews: list[float] = []
    resources = 0
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as home:
            seconds, printed = timed(PREVIEW, stack, home)
        previews.append(seconds)
        resources = int(printed)
    bound = IMPORTS_ALLOWED * imports + SECONDS_A_RESOURCE * resources
    print(f"importing the SDKs         {imports:6.2f} s (least of {REPEATS})")
    print(f"offline preview of {stack:8}{min(previews):6.2f} s (least of {REPEATS}; most {max(previews):.2f} s)")
    print(f"resources                  {resources:6}")
    print(
        f"bound                      {bound:6.2f} s = {IMPORTS_ALLOWED} x imports + {SECONDS_A_RESOURCE} s a resource"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "prod")
