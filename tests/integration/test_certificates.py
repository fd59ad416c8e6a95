"""Certificates from a folder: taken, changed, broken, chosen.

Goal: an operator replaces files while the relay runs, and nobody notices.
Checks: read again on change and on SIGHUP with no connection cut; a broken
file refused by name while the old one stays; exact names before wildcards.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess

import pytest
import raw_visitor
import stage as stages
import tunnel

POLL_S = 5.0


def make(folder, file, names, ca=None):
    """
    A certificate for |names| as |folder|/|file|.crt and .key, put into place
    whole; signed by itself or by |ca| (its pair of paths).
    """
    key = os.path.join(folder, file + ".key")
    path = os.path.join(folder, file + ".crt")
    text = ",".join("DNS:" + name for name in names)
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=" + file, "-addext", "subjectAltName=" + text,
             "-keyout", key + ".new", "-out", path + ".new"]
    if ca:
        words += ["-CA", ca[0], "-CAkey", ca[1]]
    subprocess.run(words, check=True, capture_output=True)
    os.rename(key + ".new", key)
    os.rename(path + ".new", path)
    return path, key


def shown(port, name):
    """The certificate that |name| is shown, as DER; None when refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as raw, \
                context.wrap_socket(raw, server_hostname=name) as wrapped:
            return wrapped.getpeercert(binary_form=True)
    except OSError:
        return None


def der(path):
    """A certificate's file as DER."""
    with open(path, encoding="ascii") as source:
        return ssl.PEM_cert_to_DER_cert(source.read())


class Operator:
    """A relay with a folder of certificates."""

    def __init__(self, house, folder):
        self.house = house
        self.folder = folder
        self.port = house.relay.port
        self.wild = (f"*.{tunnel.BASE}", tunnel.BASE)

    def log(self):
        """What the relay has said."""
        return self.house.relay.child.errors()

    def reload(self):
        """SIGHUP."""
        self.house.relay.child.signal(signal.SIGHUP)

    def shows(self, path, name=f"any.{tunnel.BASE}"):
        """Whether |name| is shown that certificate."""
        return shown(self.port, name) == der(path)


@pytest.fixture(name="operator")
def relay_with_folder(tmp_path):
    """The folder holds one wildcard at first."""
    folder = str(tmp_path)
    path, _ = make(folder, "wild", (f"*.{tunnel.BASE}", tunnel.BASE))
    house = stages.Stage([f"certs: {folder}"])
    house.relay.ca = path
    with house:
        yield Operator(house, folder)


def test_an_exact_name_is_chosen_before_a_wildcard(operator):
    """And a name below no certificate gets none."""
    exact, _ = make(operator.folder, "exact", (f"demo.{tunnel.BASE}",))
    operator.reload()
    stages.eventually("exact certificate", lambda: operator.shows(
        exact, f"demo.{tunnel.BASE}"))
    assert operator.shows(os.path.join(operator.folder, "wild.crt"))
    assert shown(operator.port, "example.org") is None


@pytest.mark.parametrize("how", ["SIGHUP", "change"])
def test_a_new_certificate_is_taken_with_no_connection_cut(operator, how):
    """By a signal at once, by itself within the time of a look."""
    house = operator.house
    old = os.path.join(operator.folder, "wild.crt")
    house.share("kept")
    with raw_visitor.open_to(house.url, old) as visitor:
        visitor.ask("/endless")
        assert visitor.until(b"still here")
        new, _ = make(operator.folder, "wild", operator.wild)
        if how == "SIGHUP":
            operator.reload()
        stages.eventually("new certificate", lambda: operator.shows(new),
                          POLL_S + 5)
        for _ in range(20):
            visitor.until(b"still here")
    assert len(house.client.events("lost")) == 0
    house.client.stop()


BROKEN = {
    "cut short": lambda path: truncate(path, 200),
    "no certificate": lambda path: write(path, "hello\n"),
    "empty": lambda path: write(path, ""),
    "another's key": lambda path: write(path, None),
}


def truncate(path, length):
    """Only the first bytes."""
    with open(path, "r+b") as out:
        out.truncate(length)


def write(path, text):
    """|text| instead; None: another certificate, which fits no key here."""
    if text is None:
        other = os.path.dirname(path) + "-other"
        os.makedirs(other, exist_ok=True)
        shutil.copy(make(other, "x", ("x.test",))[0], path)
        return
    with open(path, "w", encoding="ascii") as out:
        out.write(text)


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_named_and_the_old_one_stays(operator, how):
    """Until it is whole again."""
    path = os.path.join(operator.folder, "wild.crt")
    before = der(path)
    BROKEN[how](path)
    operator.reload()
    stages.eventually("complaint", lambda: any(
        "wild" in line for line in operator.log().split("\n")
        if " error " in line or " warn " in line))
    assert shown(operator.port, f"any.{tunnel.BASE}") == before
    new, _ = make(operator.folder, "wild", operator.wild)
    operator.reload()
    stages.eventually("whole certificate", lambda: operator.shows(new))


def test_check_names_a_broken_file(operator):
    """Before the relay is started."""
    write(os.path.join(operator.folder, "wild.crt"), "hello\n")
    done = operator.house.relay.command("check")
    assert done.returncode == 1
    assert "wild" in done.stderr


def test_the_local_authority_is_kept(stage):
    """The same after a restart, for its base only, and its key a secret."""
    before = der(stage.ca)
    stage.relay.stop()
    stage.relay.start()
    assert der(stage.ca) == before
    keys = [name for name in os.listdir(stage.relay.state)
            if name.endswith(".key") or "ca" in name and "key" in name]
    for name in keys:
        path = os.path.join(stage.relay.state, name)
        assert os.stat(path).st_mode & 0o077 == 0, name
    text = subprocess.run(["openssl", "x509", "-in", stage.ca, "-noout",
                           "-text"], capture_output=True, text=True,
                          check=True).stdout
    assert "Name Constraints: critical" in text
    assert tunnel.BASE in text and "CA:TRUE, pathlen:0" in text
    done = stage.relay.command("run", "--domain", "other.test",
                               "--listen", "127.0.0.1:0",
                               "--public-port", "1")
    assert done.returncode == 1
    assert "it is for another domain" in done.stderr
