"""Says what is being done, for how long, and what it last said, so that nothing scrolls by unexplained."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Failure(Exception):
    """Something a person can mend. Its text names the thing and the mend; it is shown without a traceback."""


class Progress:
    """Prints one line when a step starts and one when it ends, with elapsed time.

    A step that takes long repeats itself every ``beat`` seconds with the last ``note`` it was given.
    """

    def __init__(self, out: TextIO = sys.stderr, beat: float = 20.0) -> None:
        self._out = out
        self._beat = beat
        self._start = time.monotonic()
        self._note = ""
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Remember ``text`` as the latest sign of life of the current step."""
        self._note = text.strip()

    def say(self, text: str) -> None:
        """Print a line under the clock of the whole command."""
        elapsed = time.monotonic() - self._start
        with self._lock:
            print(f"[{int(elapsed) // 60:3d}:{int(elapsed) % 60:02d}] {text}", file=self._out, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce ``title``, keep saying that it goes on, and print how long it took."""
        begin = time.monotonic()
        self._note = ""
        self.say(f"… {title}")
        over = threading.Event()
        beat = threading.Thread(target=self._keep_saying, args=(title, begin, over), daemon=True)
        beat.start()
        try:
            yield
        except BaseException:
            self.say(f"✗ {title} (failed after {time.monotonic() - begin:.1f} s)")
            raise
        else:
            self.say(f"✓ {title} ({time.monotonic() - begin:.1f} s)")
        finally:
            over.set()
            beat.join()

    def _keep_saying(self, title: str, begin: float, over: threading.Event) -> None:
        while not over.wait(self._beat):
            tail = f": {self._note[:140]}" if self._note else ""
            self.say(f"  {title}, {time.monotonic() - begin:.0f} s so far{tail}")
