"""The Python half of browser.mjs: Chromium with our CA and a fake microphone.

playwright-core comes from npm, pinned, into the cache folder; the browser is
Debian's. Trust is real: the relay's CA goes into an NSS database in a home
folder of the browser's own.
"""

import hashlib
import json
import math
import os
import shutil
import struct
import subprocess
import wave

import children

HERE = os.path.dirname(os.path.abspath(__file__))
PLAYWRIGHT = "1.60.0"
INSTALL_S = 180.0
MICROPHONE_RATE = 48000


class Missing(Exception):
    """Something that the test needs is not on this machine."""


def cache_folder():
    """Where tests keep what they have fetched."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.environ.get("SALLYPORT_CACHE") or os.path.join(base, "sallyport")


def find_program(*names):
    """The path of the first of these programs that is installed."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise Missing(f"{' or '.join(names)} is not installed; "
                  "tests/deps installs what the tests need")


def playwright():
    """The folder of playwright-core; fetched when it is not there yet."""
    with open(os.path.join(HERE, "npm", "package-lock.json"), "rb") as lock:
        key = hashlib.sha256(lock.read()).hexdigest()[:16]
    folder = os.path.join(cache_folder(), f"playwright-core-{key}")
    package = os.path.join(folder, "node_modules", "playwright-core")
    if not os.path.exists(package):
        fresh = folder + f".{os.getpid()}"
        shutil.copytree(os.path.join(HERE, "npm"), fresh)
        try:
            done = subprocess.run(
                [find_program("npm"), "ci", "--ignore-scripts", "--no-audit",
                 "--no-fund"],
                cwd=fresh, capture_output=True, text=True,
                timeout=INSTALL_S, check=False)
            if done.returncode != 0:
                raise Missing("npm could not fetch playwright-core: "
                              + done.stderr[-400:])
            os.rename(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return package


def write_microphone(path, sound_s=1.6, before_s=0.8, after_s=5.6):
    """What the fake microphone hears, in a loop: a hum, then silence."""
    def sample(i):
        t = i / MICROPHONE_RATE - before_s
        if not 0 <= t < sound_s:
            return 0
        envelope = math.sin(math.pi * t / sound_s) * (
            0.6 + 0.4 * math.sin(2 * math.pi * 4 * t))
        wave_sum = sum(math.sin(2 * math.pi * 130 * k * t) / k
                       for k in range(1, 8))
        return int(9000 * envelope * wave_sum)

    count = int(MICROPHONE_RATE * (before_s + sound_s + after_s))
    with wave.open(path, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(MICROPHONE_RATE)
        out.writeframes(struct.pack(f"<{count}h", *map(sample, range(count))))


def trust_in(home, ca):
    """An NSS database in |home| that trusts |ca|, if any, for servers."""
    folder = os.path.join(home, ".pki", "nssdb")
    os.makedirs(folder, exist_ok=True)
    certutil = find_program("certutil")
    orders = [["-N", "--empty-password"]]
    if ca:
        orders.append(["-A", "-t", "C,,", "-n", "test", "-i", ca])
    for words in orders:
        subprocess.run([certutil, "-d", "sql:" + folder, *words], check=True,
                       capture_output=True, timeout=30)


class StepFailed(Exception):
    """A step could not be done."""


class Browser:
    """A running Chromium; steps are called one at a time."""

    def __init__(self, folder, ca, base, steps=None):
        """
        Start it in |folder|. It trusts the file |ca|, if any; *.|base| is
        loopback for it; |steps| is a file of more steps.
        """
        os.makedirs(folder, exist_ok=True)
        home = os.path.join(folder, "home")
        trust_in(home, ca)
        microphone = os.path.join(folder, "microphone.wav")
        write_microphone(microphone)
        self.child = children.Child(
            "browser", [find_program("node"),
                        os.path.join(HERE, "browser.mjs"),
                        *([steps] if steps else [])],
            folder, env=dict(os.environ, PLAYWRIGHT=playwright()),
            stdin=subprocess.PIPE)
        self.offset = 0
        self.number = 0
        self.version = self.call(
            "launch", profile=os.path.join(folder, "profile"), home=home,
            microphone=microphone, base=base,
            chromium=find_program("chromium", "chromium-browser"))["version"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def call(self, step, timeout_s=90.0, **args):
        """Do one step; what it returned."""
        self.number += 1
        line = json.dumps({"id": self.number, "step": step, "args": args})
        self.child.process.stdin.write(line.encode() + b"\n")
        self.child.process.stdin.flush()
        reply = self.child.wait_for(f"end of step {step}", self._reply,
                                    timeout_s)
        if "error" in reply:
            raise StepFailed(reply["error"])
        return reply["value"]

    def _reply(self):
        with open(self.child.out_path, "rb") as out:
            out.seek(self.offset)
            text = out.read()
        line, end, _ = text.partition(b"\n")
        if not end:
            return None
        self.offset += len(line) + 1
        reply = json.loads(line)
        return reply if reply["id"] == self.number else None

    def stop(self):
        """Close the browser and end its process group."""
        if self.child.is_running():
            self.child.process.stdin.close()
            try:
                self.child.wait(10)
            except children.Died:
                pass
        self.child.kill()
