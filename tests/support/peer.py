"""The other end of a link as a test wants it: tests/peer/hostile_peer.

    with Peer() as peer:
        peer.dial(relay.port)
        peer.login(key_of(client), relay_key(relay))
        peer.send(frames.bind(1, b"demo"))
        peer.wait_frame(frames.BOUND)

It takes the part of a client (dial, login) or of a relay (listen, welcome).
"""

import base64
import functools
import os
import re
import subprocess
import threading
import time

import frames
import stage
import tunnel

WAIT_S = 15.0


@functools.lru_cache(maxsize=None)
def program(name):
    """The path of one of tests/peer, built when it is not there yet."""
    build = os.path.dirname(tunnel.program("sallyport"))
    done = subprocess.run(
        ["cmake", "--build", build, "--target", "peers"],
        capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return os.path.join(build, "tests", "peer", name)


def ask_all(lines):
    """What it says to many lines: a list of words for each."""
    done = subprocess.run([program("hostile_peer")],
                          input="".join(line + "\n" for line in lines),
                          capture_output=True, text=True, check=True,
                          timeout=WAIT_S)
    return [line.split() for line in done.stdout.splitlines()]


class Key:
    """An Ed25519 key: |seed| and |public|, which need not belong together."""

    def __init__(self, seed=None, public=None):
        self.seed = seed or os.urandom(32)
        if public:
            self.public = public

    @functools.cached_property
    def public(self):
        """Its public half."""
        return bytes.fromhex(ask_all([f"public {self.seed.hex()}"])[0][1])


def key_in(path):
    """The key of a key file."""
    with open(path, encoding="ascii") as source:
        text = source.read().strip().split(":")[-1]
    return Key(base64.urlsafe_b64decode(text + "="))


def machine_key(client):
    """The key of a machine."""
    return key_in(os.path.join(client.folder, "state", "sallyport",
                               "machine.key"))


def relay_key(relay):
    """The key of a relay."""
    return key_in(os.path.join(relay.state, "relay.key"))


def invited(relay, name, *options):
    """A new invitation's key."""
    text = relay.invite(name, *options)
    return Key(bytes.fromhex(ask_all([f"invitation {text}"])[0][4]))


class Frame:
    """One frame that came."""

    def __init__(self, words):
        self.stream, self.kind, self.flags, self.len = map(int, words[:4])
        self.payload = bytes.fromhex(words[4] if len(words) > 4 else "")

    @property
    def sentence(self):
        """Of DENIED, GOAWAY, REFUSED and UNBOUND: code and sentence."""
        at = 2 if self.kind in (frames.REFUSED, frames.UNBOUND) else 0
        code = int.from_bytes(self.payload[at:at + 2], "big")
        length = self.payload[at + 2]
        return frames.CODES[code], self.payload[at + 3:at + 3 + length].decode()

    @property
    def code(self):
        """Of RESET."""
        return frames.CODES[int.from_bytes(self.payload[:2], "big")]


class Peer:
    """One hostile_peer."""

    def __init__(self):
        self._process = subprocess.Popen(
            [program("hostile_peer")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True)
        self.lines = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.sent = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._reader.join(WAIT_S)
        self._process.stdout.close()
        self._process.stdin.close()
        self._process.stderr.close()
        self._process.wait()

    @property
    def pid(self):
        """Its process id."""
        return self._process.pid

    def _read(self):
        for line in self._process.stdout:
            with self._more:
                self.lines.append(line.split())
                self._more.notify_all()
        with self._more:
            self.lines.append(["over"])
            self._more.notify_all()

    def say(self, *words):
        """One line to it."""
        try:
            self._process.stdin.write(" ".join(words) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise AssertionError(f"hostile_peer ended: {self.lines[-5:]}") \
                from error

    def wait(self, what, found, timeout_s=WAIT_S):
        """Until |found| gives something true; that."""
        end = time.monotonic() + timeout_s
        with self._more:
            while not (value := found()):
                left = end - time.monotonic()
                if left <= 0 or self.lines[-1:] == [["over"]]:
                    raise AssertionError(
                        f"no {what} within {timeout_s:g} s: "
                        f"{[' '.join(w)[:160] for w in self.lines[-8:]]}")
                self._more.wait(left)
            return value

    def mark(self):
        """Where the lines that come from now on begin."""
        return len(self.lines)

    def wait_line(self, word, since=0, timeout_s=WAIT_S):
        """The words of the first line |word| after |since|."""
        return self.wait(word, lambda: next(
            (line for line in self.lines[since:] if line[0] == word), None),
            timeout_s)

    def frames(self, kind=None, since=0):
        """The frames so far, or those of one kind."""
        every = [Frame(line[1:]) for line in list(self.lines)[since:]
                 if line[0] == "frame" and kind in (None, int(line[2]))]
        return every

    def wait_frame(self, kind, since=0, timeout_s=WAIT_S):
        """The first frame of |kind|."""
        return self.wait(f"frame {kind:#x}",
                         lambda: next(iter(self.frames(kind, since)), None),
                         timeout_s)

    def wait_end(self, since=0, timeout_s=WAIT_S):
        """How the link ended."""
        return self.wait_line("end", since, timeout_s)[1]

    def has_ended(self, since=0):
        """Whether the link has ended."""
        return any(line[0] == "end" for line in list(self.lines)[since:])

    # As a client.

    def dial(self, port, source="127.0.0.1"):
        """Connect; back when TLS is there. The exporter."""
        since = self.mark()
        self.say("dial", str(port), source)
        words = self.wait("an end of the handshake", lambda: next(
            (line for line in self.lines[since:]
             if line[0] in ("up", "end")), None))
        assert words[0] == "up", words
        return bytes.fromhex(words[1])

    def send_login(self, key, relay, enrol=None, **body):
        """Sign and send LOGIN; the frame's bytes."""
        since = self.mark()
        text = frames.login_body(
            key.public, enrol_key=enrol.public if enrol else b"", **body)
        self.say("login", text.hex(), key.seed.hex(), relay.public.hex(),
                 *([enrol.seed.hex()] if enrol else []))
        return bytes.fromhex(self.wait_line("sent", since)[1])

    def wait_answer(self, since=0):
        """WELCOME or DENIED."""
        return self.wait("an answer to LOGIN", lambda: next(
            (f for f in self.frames(None, since)
             if f.kind in (frames.WELCOME, frames.DENIED)), None))

    def login(self, key, relay, enrol=None, **body):
        """The answer to LOGIN."""
        since = self.mark()
        self.send_login(key, relay, enrol, **body)
        return self.wait_answer(since)

    # As a relay.

    def listen(self):
        """Take connections; the port."""
        self.say("listen")
        return int(self.wait_line("port")[1])

    def wait_login(self, since=0, timeout_s=WAIT_S):
        """The next LOGIN of a client."""
        return self.wait_frame(frames.LOGIN, since, timeout_s)

    def welcome(self, key, **body):
        """Let in who sent the last LOGIN."""
        self.say("welcome", frames.welcome_body(**body).hex(), key.seed.hex())

    def deny(self, key, code, sentence=b""):
        """Refuse who sent the last LOGIN."""
        self.say("denied", frames.denied_body(code, sentence).hex(),
                 key.seed.hex())

    # Both.

    def send(self, *parts):
        """Bytes, whole frames or not; does not wait."""
        self.say("send", b"".join(parts).hex())

    def repeat(self, count, *parts):
        """The same many times."""
        self.say("repeat", str(count), b"".join(parts).hex())

    def wait_done(self, since=0, timeout_s=WAIT_S):
        """What was sent has been taken by the kernel."""
        return self.wait("done", lambda: next(
            (line for line in self.lines[since:]
             if line[0] in ("done", "end", "gone")), None), timeout_s)

    def mute(self):
        """Read nothing more."""
        self.say("mute")

    def read_on(self):
        """Read again."""
        self.say("read")

    def close(self):
        """End the link properly, if it has not ended by itself."""
        self._end("close")

    def abort(self):
        """End it by a reset, likewise."""
        self._end("abort")

    def _end(self, verb):
        since = self.mark()
        self.say(verb)
        self.wait("an end", lambda: any(
            line[0] == "gone" or line == ["end", "own"]
            for line in self.lines[since:]))


def false_clock(shift_s):
    """The environment of a program whose date is wrong by |shift_s|."""
    return {"LD_PRELOAD": program("libfalse_clock.so"),
            "FALSE_CLOCK_S": str(int(shift_s))}


def death(path, call):
    """
    The environment of a program that dies before its call number |call| from
    when the file |path| is there; every call adds a byte to it.
    """
    return {"LD_PRELOAD": program("libdie_at.so"), "DIE_WHEN": path,
            "DIE_AT": str(call)}


def seen_connects(path):
    """The environment of a program whose connect() calls go into |path|."""
    return {"LD_PRELOAD": program("libsee_connect.so"), "CONNECTS": path}


def memory_bytes(child):
    """
    What |child| has in memory now (VmRSS); nothing with a sanitizer, which
    keeps what was freed.
    """
    if stage.is_sanitized():
        return 0
    with open(f"/proc/{child.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024

