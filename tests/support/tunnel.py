"""Our two programs, started, killed and started again by tests.

    with Relay(folder) as relay:
        client = Client(relay, folder)
        client.login()
        url = client.http("127.0.0.1:8080", name="demo")

Everything that a test needs to know about command lines, settings and the
lines the programs print stands here and nowhere else. The programs are those
of $SALLYPORT_BUILD, or of build/release, or of build/dev.
"""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.parse

import children

BASE = "tunnel.test"
START_S = 20.0
LOGIN_S = 20.0
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def program(name):
    """The path of one of our programs."""
    folders = [os.environ.get("SALLYPORT_BUILD"),
               os.path.join(ROOT, "build", "release"),
               os.path.join(ROOT, "build", "dev")]
    for folder in filter(None, folders):
        path = os.path.join(os.path.abspath(folder), name)
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(
        f"no {name}: build it (cmake --build --preset release) "
        "or say where it is in SALLYPORT_BUILD")


class Relay:
    """A relay for *.tunnel.test on a port of the loopback address."""

    # Where it listens, and where its clients look for it.
    LISTEN = INVITE = "127.0.0.1"

    def __init__(self, folder, settings=(), state=None, base=BASE):
        """
        Prepare, in |folder|; |settings| are more lines for its file, |state|
        another place for what it keeps, |base| another domain.
        """
        self.folder = os.path.join(folder, "relay")
        self.state = state or os.path.join(self.folder, "state")
        os.makedirs(self.folder, exist_ok=True)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        # The PEM file to trust: the local authority's, unless a test has
        # certificates of its own.
        self.ca = os.path.join(self.state, "local-ca.pem")
        self.port = children.free_port()
        self.config = os.path.join(self.folder, "relay.yaml")
        with open(self.config, "w", encoding="utf-8") as out:
            out.write("\n".join([
                f"domain: {base}", f"state: {self.state}",
                f"listen: {self.LISTEN}:{self.port}",
                f"invite-host: {self.INVITE}", *settings]) + "\n")
        self.child = None
        # Words before the program's own: limits.
        self.prefix = []
        self.env = None  # the environment of whoever starts it
        self.pass_fds = ()  # descriptors that it inherits
        self._runs = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def take_place_of(self, other):
        """Be at the address of |other|, which does not run."""
        with open(self.config, encoding="utf-8") as source:
            text = source.read()
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(text.replace(f"127.0.0.1:{self.port}",
                                   f"127.0.0.1:{other.port}"))
        self.port = other.port

    def start(self):
        """Start it; back when it accepts connections."""
        self._runs += 1
        self.child = children.Child(
            f"relay-{self._runs}", [*self.prefix, program("sallyport-relay"), "run",
                      "--config", self.config], self.folder, env=self.env,
            pass_fds=self.pass_fds)
        self.child.wait_for("open port", self._accepts, START_S)

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return os.path.exists(self.ca)
        except OSError:
            return False

    def stop(self):
        """Ask it to end, and wait."""
        if self.child:
            self.child.stop()

    def kill(self):
        """End it without a chance to say goodbye."""
        self.child.kill()

    def command(self, *words, timeout_s=LOGIN_S):
        """Run an operator's command; the finished process."""
        return subprocess.run(
            [program("sallyport-relay"), words[0], "--config", self.config,
             *words[1:]], env=self.env,
            capture_output=True, text=True, timeout=timeout_s, check=False)

    def invite(self, name, *options):
        """One invitation, as the operator would send it."""
        done = self.command("invite", name, *options)
        if done.returncode != 0:
            raise children.Died(f"invite failed: {done.stdout}{done.stderr}")
        return done.stdout.strip().split("\n")[-1]


class Client:
    """One machine with its key; it runs one program at a time."""

    def __init__(self, relay, folder, machine="machine"):
        self.relay = relay
        self.machine = machine
        self.folder = os.path.join(folder, machine)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.env = dict(
            os.environ, HOME=self.folder, NO_COLOR="1",
            XDG_CONFIG_HOME=os.path.join(self.folder, "config"),
            XDG_STATE_HOME=os.path.join(self.folder, "state"))
        self.child = None
        self.place = []  # words before all of its programs: another network
        self.prefix = []
        self._runs = 0

    def command(self, *words, stdin="", timeout_s=LOGIN_S):
        """Run one command to its end; the finished process."""
        return subprocess.run(
            [*self.place, program("sallyport"), *words], input=stdin,
            env=self.env,
            capture_output=True, text=True, timeout=timeout_s, check=False)

    def login(self, invitation=None):
        """Enrol this machine."""
        text = invitation or self.relay.invite(self.machine)
        done = self.command("login", stdin=text + "\n")
        if done.returncode != 0:
            raise children.Died(f"login failed: {done.stdout}{done.stderr}")

    def configure(self, text="", tunnels=None):
        """Write the settings file: |text|, and a map of tunnels."""
        folder = os.path.join(self.folder, "config", "sallyport")
        os.makedirs(folder, exist_ok=True)
        lines = [text, *(["tunnels:"] if tunnels else [])]
        for key, items in (tunnels or {}).items():
            lines += [f"  {key}:"]
            lines += [f"    {name}: {value}" for name, value in items.items()]
        with open(os.path.join(folder, "config.yaml"), "w",
                  encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")

    def start(self, *words):
        """Start a command that goes on, with JSON lines; does not wait."""
        self._runs += 1
        self.child = children.Child(
            f"client-{self._runs}",
            [*self.place, *self.prefix, program("sallyport"), *words,
             "--json"],
            self.folder, env=self.env)

    def http(self, target, name=None, options=()):
        """Share |target|; the public URL, once the relay has given it."""
        words = ["http", target, *options]
        self.start(*words, *(["--name", name] if name else []))
        return self.url()

    def events(self, kind=None):
        """The JSON lines so far, or those of one kind."""
        lines = self.child.output().split("\n")[:-1]
        every = [json.loads(line) for line in lines if line.startswith("{")]
        return [e for e in every if kind in (None, e.get("event"))]

    def wait_event(self, kind, timeout_s=START_S):
        """The first JSON line of a kind."""
        return self.child.wait_for(f"event `{kind}`",
                                   lambda: self.events(kind), timeout_s)[0]

    def url(self, timeout_s=START_S):
        """The URL it printed."""
        return self.wait_event("url", timeout_s)["url"].rstrip("/")

    def stop(self):
        """Ask it to end, and wait."""
        if self.child:
            self.child.stop()

    def kill(self):
        """SIGKILL."""
        self.child.signal(signal.SIGKILL)
        self.child.kill()


def trust(ca):
    """A TLS context that trusts the relay's own authority, no other."""
    return ssl.create_default_context(cafile=ca)


class Visitor(http.client.HTTPSConnection):
    """A keep-alive connection to a public name, without asking any DNS."""

    def __init__(self, url, ca, timeout_s=30.0):
        parts = urllib.parse.urlsplit(url)
        super().__init__(parts.hostname, parts.port, timeout=timeout_s,
                         context=trust(ca))
        self._trust = trust(ca)

    def connect(self):
        """Connect to loopback, whatever the name."""
        raw = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._trust.wrap_socket(raw, server_hostname=self.host)


def curl(url, ca, *options, timeout_s=120.0):
    """Run curl on a public URL; its stdout as bytes, an error if it fails."""
    parts = urllib.parse.urlsplit(url)
    done = subprocess.run(
        ["curl", "-sS", "--max-time", f"{timeout_s:g}", "--cacert", ca,
         "--resolve", f"{parts.hostname}:{parts.port}:127.0.0.1",
         *options, url],
        capture_output=True, timeout=timeout_s + 10, check=False)
    if done.returncode != 0:
        raise OSError(f"curl {url}: exit {done.returncode}: "
                      + done.stderr.decode(errors="replace"))
    return done.stdout
