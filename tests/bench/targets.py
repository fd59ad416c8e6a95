"""What is measured: the service itself, our tunnel, haproxy, the rivals.

haproxy ends TLS before the service (the baseline) and before every rival,
with one certificate, one cipher, one thread. What cannot be started is left
out, and the reason printed once.
"""

import collections
import contextlib
import os
import shutil
import subprocess
import sys
import urllib.parse

import children
import rivals
import tunnel

NAME = "bench.tunnel.test"
BIN = os.path.join(tunnel.ROOT, "build", "release", "tests", "bench")
# Two thousand visitors from one address are no attack here.
RELAY_SETTINGS = ("address-rate: 100000", "address-burst: 100000",
                  "address-connections: 100000", "address-handshakes: 10000")
OURS, DIRECT, BASE = "sallyport", "direct", "haproxy"
BEFORE = "before"  # another build of ours
HAPROXY_DEFAULTS = [
    "global", "  nbthread 1", "  maxconn 8000",
    "  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256",
    "  ssl-default-bind-options ssl-min-ver TLSv1.3",
    "defaults", "  mode http", "  http-reuse always",
    "  timeout connect 5s", "  timeout client 1h",
    "  timeout server 1h", "  timeout tunnel 1h"]

Target = collections.namedtuple("Target", "name port host pids")

_told = set()


def leave_out(what, why):
    """Say so, once."""
    if (what, why) not in _told:
        _told.add((what, why))
        print(f"left out: {what}: {why}", flush=True)


def build(*names):
    """What is measured, and what measures, of the release preset."""
    for words in (["cmake", "--preset", "release"],
                  ["cmake", "--build", "--preset", "release", "--target",
                   *names]):
        done = subprocess.run(words, cwd=tunnel.ROOT, check=False, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}")


def haproxy_program():
    """Its path, or None."""
    return shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def certificate(folder):
    """One of ECDSA P-256 for all of them; (certificate, key, both)."""
    cert, key, both = (os.path.join(folder, name) for name in
                       ("cert.pem", "key.pem", "both.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
         cert, "-days", "2", "-subj", f"/CN={NAME}", "-addext",
         f"subjectAltName=DNS:{NAME}"], check=True, capture_output=True,
        timeout=rivals.START_S)
    with open(both, "w", encoding="ascii") as out:
        for part in (cert, key):
            with open(part, encoding="ascii") as source:
                out.write(source.read())
    return cert, key, both


def start_haproxy(folder, label, fronts, pem):
    """One haproxy for |fronts|: (name, port, port behind)."""
    lines = list(HAPROXY_DEFAULTS)
    for name, port, behind in fronts:
        lines += [f"listen {name}",
                  f"  bind 127.0.0.1:{port} ssl crt {pem} curves X25519",
                  f"  server s 127.0.0.1:{behind}"]
    config = rivals.write(folder, label + ".cfg", lines)
    return rivals.start(label, [haproxy_program(), "-db", "-f", config],
                        folder, [port for _, port, _ in fronts])


@contextlib.contextmanager
def programs_of(build):
    """While this lasts, ours are those of this build."""
    usual = os.environ.get("SALLYPORT_BUILD")
    os.environ["SALLYPORT_BUILD"] = os.path.abspath(build)
    try:
        yield
    finally:
        if usual is None:
            del os.environ["SALLYPORT_BUILD"]
        else:
            os.environ["SALLYPORT_BUILD"] = usual


def start_before(folder, service, build):
    """Another build's relay and client, in a place of its own."""
    place = os.path.join(folder, BEFORE)
    os.mkdir(place)
    with programs_of(build):
        if not tunnel.program("sallyport").startswith(os.path.abspath(build)):
            sys.exit(f"there is no sallyport in {build}")
        return start_ours(place, service)._replace(name=BEFORE)


def start_ours(folder, service):
    """Our relay and client, as Target."""
    relay = tunnel.Relay(folder, RELAY_SETTINGS)
    relay.start()
    client = tunnel.Client(relay, folder)
    client.login()
    url = client.http(f"127.0.0.1:{service}", name="bench")
    return Target(OURS, relay.port, urllib.parse.urlsplit(url).hostname,
                  {"relay": relay.child.process.pid,
                   "client": client.child.process.pid})


def start_rivals(place, names, given):
    """Those that can be started: {name: Rival}."""
    found = {}
    for name in names:
        try:
            found[name] = rivals.START[name](place, given)
        except (rivals.Absent, children.Died, OSError,
                subprocess.SubprocessError) as error:
            leave_out(name, str(error))
    return found


def start(folder, names, given, is_shared):
    """
    Everything that is measured, by name; |names| of the rivals. With
    |is_shared| one haproxy stands before all, as a memory of nothing needs;
    else each has one that has done nothing before.
    """
    os.chmod(folder, 0o711)
    service = children.free_port()
    rivals.start("service", [os.path.join(BIN, "bench_service"),
                             str(service)], folder, [service])
    targets = {DIRECT: Target(DIRECT, service, "-", {}),
               OURS: start_ours(folder, service)}
    if BEFORE in given:
        targets[BEFORE] = start_before(folder, service, given[BEFORE])
    if not haproxy_program():
        leave_out("haproxy and all that stands behind it",
                  "no haproxy here (tests/bench/deps)")
        return targets
    cert, key, both = certificate(folder)
    place = rivals.Place(folder, {"bench": service}, cert, key, NAME)
    behind = {BASE: rivals.Rival({"bench": service}, {}),
              **start_rivals(place, names, given)}
    fronts = [(n, children.free_port(), b.ports["bench"])
              for n, b in behind.items()]
    if is_shared:
        pid = start_haproxy(folder, "haproxy", fronts, both).process.pid
    for front in fronts:
        name = front[0]
        if not is_shared:
            pid = start_haproxy(folder, f"haproxy-{name}", [front],
                                both).process.pid
        targets[name] = Target(name, front[1], NAME,
                               {"haproxy": pid, **behind[name].pids})
    return targets
