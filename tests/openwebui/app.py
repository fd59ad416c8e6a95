"""The real Open WebUI: fetched, started, stopped and asked.

It lives in a virtual environment in the cache folder, under a hash of the
list of packages, so that only the first run fetches it. It runs without
network against the provider of stub.py.
"""

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import time
import urllib.request

import browser
import children

HERE = os.path.dirname(os.path.abspath(__file__))
REQUIREMENTS = os.path.join(HERE, "requirements.txt")
INSTALL_S = 900.0
INSTALL_TRIES = 2
START_S = 240.0  # 8 s, but a minute on a machine that does much else
STUB_START_S = 10.0
REQUEST_S = 20.0


class Unavailable(Exception):
    """Open WebUI cannot be had on this machine: a reason to skip."""


def is_usable(python):
    """Whether it is a Python 3.11 or 3.12 that can make environments."""
    probe = ("import sys, venv, ensurepip; "
             "sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))")
    try:
        return subprocess.run([python, "-c", probe], capture_output=True,
                              timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find_python():
    """A Python that Open WebUI runs on."""
    for name in ("/usr/bin/python3", "python3.11", "python3.12", "python3"):
        path = shutil.which(name)
        if path and is_usable(path):
            return path
    versions = os.path.expanduser("~/.pyenv/versions")
    for version in sorted(os.listdir(versions)
                          if os.path.isdir(versions) else []):
        path = os.path.join(versions, version, "bin", "python3")
        if is_usable(path):
            return path
    raise Unavailable("Open WebUI needs Python 3.11 or 3.12 (with venv), "
                      "and there is none here")


def say(text):
    """A line of progress, as tests/run shows it."""
    print(text, flush=True)


def _fill(python, folder):
    """Make the environment in |folder| and fetch every package."""
    subprocess.run([python, "-m", "venv", folder], check=True,
                   capture_output=True, timeout=120)
    log = folder + ".log"
    for left in reversed(range(INSTALL_TRIES)):
        say("Fetching Open WebUI from PyPI: 191 MB, about a minute")
        with open(log, "wb") as out:
            done = subprocess.run(
                [os.path.join(folder, "bin", "python"), "-m", "pip", "install",
                 "--no-deps", "--disable-pip-version-check",
                 "--progress-bar", "off", "-r", REQUIREMENTS],
                stdout=out, stderr=subprocess.STDOUT, timeout=INSTALL_S,
                check=False)
        if done.returncode == 0:
            os.unlink(log)
            return
        with open(log, encoding="utf-8", errors="replace") as text:
            tail = text.read()[-400:]
        if not left:
            raise Unavailable(f"PyPI did not give Open WebUI: {tail}")


def environment():
    """The folder of a complete virtual environment."""
    python = find_python()
    with open(REQUIREMENTS, "rb") as listed:
        key = hashlib.sha256(listed.read() + python.encode()).hexdigest()[:16]
    folder = os.path.join(browser.cache_folder(), f"openwebui-{key}")
    done = os.path.join(folder, "complete")
    if not os.path.exists(done):
        os.makedirs(browser.cache_folder(), exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        begin = time.monotonic()
        try:
            _fill(python, folder)
        except (subprocess.SubprocessError, OSError) as error:
            raise Unavailable(f"pip: {error}") from error
        with open(done, "wb"):
            pass
        say(f"Fetching took {time.monotonic() - begin:.0f} s")
    return folder


def settings(folder, provider):
    """What the app reads from its environment at its first start."""
    base = f"http://127.0.0.1:{provider}/v1"
    values = {
        "USE_SLIM_DOCKER": "true", "WEBUI_SECRET_KEY": "for-tests-only",
        "DATA_DIR": os.path.join(folder, "data"),
        "STATIC_DIR": os.path.join(folder, "static"), "WEBUI_AUTH": "False",
        "OFFLINE_MODE": "true", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "true",
        "ANONYMIZED_TELEMETRY": "false", "SCARF_NO_ANALYTICS": "true",
        "ENABLE_OLLAMA_API": "false", "ENABLE_OPENAI_API": "true",
        "OPENAI_API_BASE_URL": base, "OPENAI_API_BASE_URLS": base,
        "OPENAI_API_KEY": "k", "OPENAI_API_KEYS": "k",
        "RAG_EMBEDDING_ENGINE": "openai", "RAG_OPENAI_API_BASE_URL": base,
        "RAG_OPENAI_API_KEY": "k", "AUDIO_STT_MODEL": "whisper-1",
        "AUDIO_TTS_MODEL": "tts-1", "AUDIO_TTS_VOICE": "alloy",
        "ENABLE_TITLE_GENERATION": "false", "ENABLE_TAGS_GENERATION": "false",
        "ENABLE_FOLLOW_UP_GENERATION": "false",
        "ENABLE_VERSION_UPDATE_CHECK": "false",
        "HOME": folder, "PYTHONUNBUFFERED": "1",
    }
    for kind in ("STT", "TTS"):
        values[f"AUDIO_{kind}_ENGINE"] = "openai"
        values[f"AUDIO_{kind}_OPENAI_API_BASE_URL"] = base
        values[f"AUDIO_{kind}_OPENAI_API_KEY"] = "k"
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "TZ")
            if name in os.environ}
    return {**keep, **values}


class App:
    """Open WebUI and its provider, on ports of loopback."""

    def __init__(self, venv, folder, slow_s):
        self.venv = venv
        self.folder = os.path.join(folder, "openwebui")
        os.makedirs(self.folder, exist_ok=True)
        self.stub = children.Child(
            "stub", ["/usr/bin/python3", os.path.join(HERE, "stub.py"),
                     "--slow-s", str(slow_s)], self.folder)
        self.provider = int(self.stub.wait_for_line("port ", STUB_START_S))
        self.port = children.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.runs = 0
        self.child = None
        self.token = None

    def start(self):
        """Start it and wait until it is healthy."""
        self.runs += 1
        self.child = children.Child(
            f"app-{self.runs}",
            [os.path.join(self.venv, "bin", "open-webui"), "serve",
             "--host", "127.0.0.1", "--port", str(self.port)],
            self.folder, env=settings(self.folder, self.provider))
        self.child.wait_for("answer of /health", self._is_healthy, START_S)

    def _is_healthy(self):
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=2) as r:
                return r.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def log_in(self):
        """Become the one user, and put the news window away."""
        reply = self.api("POST", "/api/v1/auths/signin",
                         {"email": "", "password": ""})
        self.token = reply["token"]
        self.api("POST", "/api/v1/users/user/settings/update",
                 {"ui": {"showChangelog": False}})

    def api(self, method, path, body=None):
        """Ask the app directly; its JSON."""
        request = urllib.request.Request(
            self.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        with urllib.request.urlopen(request, timeout=REQUEST_S) as reply:
            return json.load(reply)

    def realtime_calls(self):
        """Let pages loaded from now on make realtime calls."""
        audio = self.api("GET", "/api/v1/audio/config")
        audio["realtime"].update({
            "ENABLED": True, "OPENAI_API_KEY": "k",
            "OPENAI_API_BASE_URL": f"http://127.0.0.1:{self.provider}/v1"})
        self.api("POST", "/api/v1/audio/config/update", audio)

    def standard_calls(self):
        """Let pages loaded from now on make standard calls again."""
        audio = self.api("GET", "/api/v1/audio/config")
        audio["realtime"]["ENABLED"] = False
        self.api("POST", "/api/v1/audio/config/update", audio)

    def noted(self):
        """What the provider has seen so far."""
        url = f"http://127.0.0.1:{self.provider}/noted"
        with urllib.request.urlopen(url, timeout=REQUEST_S) as reply:
            return json.load(reply)

    def _tell(self, path):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.provider}{path}", method="POST")
        urllib.request.urlopen(request, timeout=REQUEST_S).close()

    def step(self):
        """Let the provider's answer go on by a word."""
        self._tell("/step")

    def hold(self, what):
        """Let the provider answer no "recordings" or no "questions"."""
        self._tell("/hold?what=" + what)

    def release(self, what):
        """Let it answer them again, those that wait first."""
        self._tell("/release?what=" + what)

    def log(self):
        """Its output so far, access log included."""
        return self.child.output() + self.child.errors()

    def stop(self):
        """End the app; the provider goes on."""
        self.child.stop()
