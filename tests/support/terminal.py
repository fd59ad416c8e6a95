"""A terminal with a program on it: what a person sees there.

    with Terminal([program, "http", "8080"], env) as terminal:
        terminal.lines()

Of what terminals understand it knows what our programs use: new lines, the
way back to the begin of a line, and clearing from there.
"""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

ROWS, COLUMNS = 40, 80
STOP_S = 15.0
ESCAPE = re.compile("\x1b\\[[?0-9;]*([A-Za-z])")


def render(text):
    """The lines that |text| leaves on a terminal without an end."""
    lines, column, at = [""], 0, 0
    while at < len(text):
        escape = ESCAPE.match(text, at)
        if escape:
            if escape[1] == "K":
                lines[-1] = lines[-1][:column]
            at = escape.end()
            continue
        if text[at] == "\n":
            lines.append("")
            column = 0
        elif text[at] == "\r":
            column = 0
        else:
            line = lines[-1]
            lines[-1] = line[:column] + text[at] + line[column + 1:]
            column += 1
        at += 1
    return lines


class Terminal:
    """Runs |argv| on a terminal of its own until it is left."""

    def __init__(self, argv, env):
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ,
                    struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._seen = b""
        self.process = subprocess.Popen(argv, stdin=far, stdout=far,
                                        stderr=far, env=env,
                                        start_new_session=True)
        os.close(far)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._reader.join(STOP_S)
        os.close(self._near)

    def _read(self):
        with contextlib.suppress(OSError):  # EIO: the program has ended
            while data := os.read(self._near, 65536):
                self._seen += data

    def lines(self):
        """What stands there."""
        return render(self._seen.decode(errors="replace"))

    def end(self):
        """Ask the program to end; what it leaves there."""
        self.process.terminate()
        self.process.wait(STOP_S)
        self._reader.join(STOP_S)
        return self.lines()
