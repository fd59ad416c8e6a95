"""The operator's side: verbs, settings, certificates and what goes wrong.

Goal: whoever runs a relay can do it from --help and the sentences alone.
Checks: invitations and revoking with a live client, exit codes and sentences
of settings, a taken port and a full disk, certificates that change or break
while a visitor is connected.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "support"))
import children  # noqa: E402
import tunnel  # noqa: E402
from raw_service import visit  # noqa: E402

RELAY = "sallyport-relay"
ENOUGH_S = 10.0


@pytest.fixture(name="relay")
def _relay(tmp_path):
    before = children.running()
    with tunnel.Relay(str(tmp_path)) as relay:
        yield relay
    children.stop_all(keep=before)


def run(*words, **more):
    """Run the relay's program to its end."""
    return subprocess.run([tunnel.program(RELAY), *words],
                          capture_output=True, text=True, timeout=30,
                          check=False, **more)


def until(true, what):
    """Wait till |true|() is."""
    end = time.monotonic() + ENOUGH_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


# --- keys and invitations ----------------------------------------------------


def test_an_invitation_is_the_only_line_on_stdout(relay):
    done = relay.command("invite", "laptop", "--uses", "2")
    assert done.returncode == 0
    assert done.stdout.startswith("sallyport:")
    assert done.stdout.count("\n") == 1
    assert "for 2 machines" in done.stderr


def test_keys_and_names_are_listed(relay, tmp_path):
    client = tunnel.Client(relay, str(tmp_path), "desk")
    assert "no keys yet" in relay.command("keys").stderr
    client.login()
    client.http("127.0.0.1:9", name="shown")
    assert "desk" in relay.command("keys").stdout
    names = relay.command("names").stdout
    assert "shown" in names and "desk" in names
    sessions = relay.command("sessions").stdout
    assert "desk" in sessions and "shown" in sessions and " up " in sessions
    client.stop()


def test_every_useless_invitation_gets_the_same_answer(relay, tmp_path):
    spent = relay.invite("one")
    tunnel.Client(relay, str(tmp_path), "first").login(spent)
    cancelled = relay.invite("two")
    done = relay.command("revoke", "two")
    assert (done.returncode, done.stdout) == (
        0, "1 invitation of two ended\n")
    answers = set()
    for number, text in enumerate([spent, cancelled]):
        client = tunnel.Client(relay, str(tmp_path), f"late{number}")
        done = client.command("login", stdin=text + "\n")
        assert done.returncode == 4
        answers.add(done.stderr)
    assert len(answers) == 1


def test_revoking_cuts_a_live_session_for_ever(relay, tmp_path):
    client = tunnel.Client(relay, str(tmp_path), "desk")
    client.login()
    client.http("127.0.0.1:9", name="mine")
    done = relay.command("revoke", "desk")
    assert done.returncode == 0
    assert "1 session ended" in done.stdout
    until(lambda: not client.child.is_running(), "the client goes on")
    assert client.child.process.returncode == 4
    assert "revoked" in client.child.errors() + client.child.output()
    assert client.command("http", "9").returncode == 4
    assert relay.command("revoke", "nobody").returncode == 1


def test_a_kicked_client_comes_back(relay, tmp_path):
    client = tunnel.Client(relay, str(tmp_path), "desk")
    client.login()
    client.http("127.0.0.1:9", name="mine")
    assert relay.command("kick", "mine").returncode == 0
    until(lambda: "mine" in relay.command("sessions").stdout,
          "the client did not come back")
    assert relay.command("kick", "nothing").returncode == 1
    client.stop()


# --- settings ----------------------------------------------------------------


@pytest.mark.parametrize("words, code, sentence", [
    ([], 2, "Usage: sallyport-relay"),
    (["rum"], 2, "did you mean run?"),
    (["run", "--domian", "x"], 2, "did you mean --domain?"),
    (["run", "--config", "/dev/null"], 2, "domain is not set"),
    (["run", "--config", "/nowhere"], 2, "/nowhere: No such file"),
    (["check", "--config", "/"], 2, "/: is a folder"),
    (["invite", "--config", "/dev/null", "--domain", "t.test"], 2,
     "invite NAME: the word is missing"),
    (["invite", "a b", "--config", "/dev/null", "--domain", "t.test"], 2,
     "letters, digits"),
    (["sessions", "--config", "/dev/null", "--domain", "t.test",
      "--state", "/nowhere"], 1, "no relay runs with state /nowhere"),
])
def test_each_mistake_has_its_sentence_and_code(words, code, sentence):
    done = run(*words)
    assert sentence in done.stderr
    assert done.returncode == code
    assert done.stdout == ""


def test_an_unknown_key_is_refused_with_its_line(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text("domain: t.test\nlisten: 127.0.0.1:1\nredirect: yes\n")
    done = run("check", "--config", str(path))
    assert done.returncode == 2
    assert f'{path}:3: unknown key "redirect"' in done.stderr


def test_check_prints_settings_that_are_the_same_again(tmp_path):
    first = run("check", "--config", "/dev/null", "--domain", "t.test",
                "--grace", "1m", "--listen", "127.0.0.1:8443")
    assert first.returncode == 0
    path = tmp_path / "relay.yaml"
    path.write_text(first.stdout)
    assert run("check", "--config", str(path)).stdout == first.stdout


def test_unreadable_settings_are_said():
    """As nobody where root runs the tests: root may read everything."""
    command = [tunnel.program(RELAY), "check", "--config"]
    more = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "relay.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write("domain: t.test\n")
        os.chmod(path, 0)
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)
            command[0] = shutil.copy(command[0], folder)
            more = {"user": 65534, "group": 65534, "extra_groups": []}
        done = subprocess.run([*command, path], capture_output=True, text=True,
                              timeout=30, check=False, **more)
    assert done.returncode == 2
    assert f"{path}: Permission denied" in done.stderr


# --- what the machine refuses ------------------------------------------------


def test_a_taken_port_is_named(relay, tmp_path):
    done = run("run", "--config", "/dev/null", "--domain", "t.test",
               "--state", str(tmp_path / "other"),
               "--listen", f"127.0.0.1:{relay.port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{relay.port}" in done.stderr
    assert "address already in use" in done.stderr


def test_a_second_relay_on_the_same_state_is_refused(relay):
    done = run("run", "--config", relay.config,
               "--listen", f"127.0.0.1:{children.free_port()}")
    assert done.returncode == 1
    assert "another relay runs with this state folder" in done.stderr


def in_small_folder(folder, script):
    """Run a shell script with 128 KiB of disk mounted at |folder|."""
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    text = f"mount -t tmpfs -o size=128k small '{folder}' || exit 99\n"
    return subprocess.run(
        ["unshare", "--mount", *own, "sh", "-c", text + script],
        capture_output=True, text=True, timeout=60, check=False)


def test_a_full_disk_is_said(tmp_path):
    relay = tunnel.program(RELAY)
    flags = f"--config /dev/null --domain t.test --state '{tmp_path}/state'"
    (tmp_path / "state").mkdir(mode=0o700)
    done = in_small_folder(tmp_path / "state", (
        f"dd if=/dev/zero of='{tmp_path}/state/fill' bs=1k 2>/dev/null\n"
        f"exec '{relay}' invite laptop {flags}\n"))
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small disk")
    assert done.returncode == 1
    assert "the disk is full: free some space" in done.stderr
    assert done.stdout == ""


# --- certificates ------------------------------------------------------------


def make_pair(path, name):
    """A self-signed certificate with its key for |name|, by openssl."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-subj",
         f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-keyout", f"{path}.key", "-out", f"{path}.crt"],
        check=True, capture_output=True, timeout=30)


def serial(port, name):
    """The certificate that a visitor of |name| is shown, or None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        try:
            with context.wrap_socket(sock, server_hostname=name) as tls:
                return tls.getpeercert(binary_form=True)
        except (ssl.SSLError, OSError):
            return None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_certificates_change_with_no_connection_cut(tmp_path):
    certs = tmp_path / "certs"
    certs.mkdir()
    name = "a.tunnel.test"
    with tunnel.Relay(str(tmp_path), [f"certs: {certs}",
                                      "local-ca: true"]) as relay:
        before = serial(relay.port, name)
        visitor = visit(relay.port, relay.ca, name)
        make_pair(certs / "a", name)
        relay.child.signal(signal.SIGHUP)
        until(lambda: serial(relay.port, name) != before, "not read again")
        own = serial(relay.port, name)
        # The visitor of before is still served, by the old certificate.
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: a.tunnel.test\r\n\r\n")
        assert visitor.recv(12) == b"HTTP/1.1 404"
        visitor.close()
        # A broken file is refused by name; what was there stays.
        (certs / "a.crt").write_text("broken")
        relay.child.signal(signal.SIGHUP)
        until(lambda: "certificate-refused" in relay.child.errors(),
              "not refused")
        assert str(certs / "a.crt") in relay.child.errors()
        assert serial(relay.port, name) == own
