"""Named checks that are counted: for the tests that are one long story.

Each prints a line when it is known. A group that cannot go on counts as one
failed check and the story continues with the next group, so that one defect
shows everything it breaks.
"""

import contextlib
import threading
import time
import traceback


class Checks:
    """The tally of one run."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.begin = time.monotonic()
        self.lock = threading.Lock()

    def say(self, text):
        """A line of progress."""
        print(f"[{time.monotonic() - self.begin:5.1f} s] {text}", flush=True)

    def check(self, claim, is_true, detail=""):
        """Count |claim|; |detail| says what was seen."""
        with self.lock:
            if is_true:
                self.passed += 1
            else:
                self.failed += 1
            word = "ok    " if is_true else "FAILED"
            self.say(f"{word} {claim}" + (f": {detail}" if detail else ""))
        return bool(is_true)

    def skip(self, what, reason):
        """Count one skipped."""
        self.skipped += 1
        print(f"skip  {what}: {reason}", flush=True)

    @contextlib.contextmanager
    def group(self, name):
        """A part of the story; what it raises is one failed check."""
        self.say(f"-- {name}")
        try:
            yield
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            self.check(f"{name} runs to its end", False, str(error)[:600])

    def at_once(self, parts):
        """
        Run groups at the same time: a mapping of names to functions. Their
        threads do not outlive this process when it is told to end.
        """
        def one(name, part):
            with self.group(name):
                part()

        threads = [threading.Thread(target=one, args=part, daemon=True)
                   for part in parts.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def close(self):
        """Print the tally as the last line; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed, "
              f"{self.skipped} skipped", flush=True)
        return 1 if self.failed else 0
