"""Who may use a relay: invitations, keys, and what the operator can do.

Goal: an invitation makes one machine's key good, nothing else does, and
every refusal says what to do, with its own exit code.
Checks: login by pipe and file, uses and expiry, one answer for every bad
invitation, revoked keys, kicks, key files that others can read, another
relay's key, something in between that ends the TLS.
"""

import os
import shutil
import sqlite3
import time

import calm
import pytest
import stage as stages
import tls_proxy
import tunnel

REFUSED = 4
USAGE = 2
TROUBLE = 1


def machine(stage, name):
    """A machine that has not logged in."""
    client = tunnel.Client(stage.relay, stage.folder, name)
    stage.clients.append(client)
    return client


def try_login(stage, name, invitation):
    """`sallyport login` on a new machine; the finished process."""
    return machine(stage, name).command("login", stdin=invitation + "\n")


def key_file(client):
    """Where the machine's key is."""
    return os.path.join(client.folder, "state", "sallyport", "machine.key")


def test_an_invitation_becomes_a_key(stage):
    """Made on the machine, for its user's eyes only; the relay lists it."""
    client = stage.enrol("laptop")
    assert os.stat(key_file(client)).st_mode & 0o777 == 0o600
    listed = stage.relay.command("keys")
    assert listed.returncode == 0 and "laptop" in listed.stdout


def test_an_invitation_may_come_from_a_file(stage):
    """As a file, for those whose terminal breaks long lines."""
    client = machine(stage, "filed")
    path = os.path.join(stage.folder, "invitation")
    with open(path, "w", encoding="ascii") as out:
        out.write(stage.relay.invite("filed") + "\n")
    done = client.command("login", path)
    assert done.returncode == 0, done.stderr
    assert "may use the relay" in done.stderr


def test_the_invitation_is_not_taken_from_the_command_line(stage):
    """Where every user of the machine could read it."""
    invitation = stage.relay.invite("seen")
    done = machine(stage, "seen").command("login", invitation)
    assert done.returncode == USAGE
    assert "paste the invitation" in done.stderr


def test_uses_are_counted(stage):
    """Two machines, not three; the same machine twice is one use."""
    invitation = stage.relay.invite("team", "--uses", "2")
    first = machine(stage, "first")
    for _ in range(2):
        assert first.command("login", stdin=invitation).returncode == 0
    assert try_login(stage, "second", invitation).returncode == 0
    assert try_login(stage, "third", invitation).returncode == REFUSED


def expire(stage):
    """Make every invitation older than its day."""
    path = os.path.join(stage.relay.state, "relay.db")
    with sqlite3.connect(path, timeout=10) as store:
        store.execute("UPDATE invitations SET expires = ?",
                      (int(time.time()) - 1,))


def from_elsewhere(stage):
    """
    An invitation with this relay's key that its store has never seen: made
    on a copy of its state.
    """
    copy = os.path.join(stage.folder, "copy")
    shutil.copytree(stage.relay.state, copy,
                    ignore=lambda _, names: [n for n in names if "sock" in n])
    done = stage.relay.command("invite", "copied", "--state", copy)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_bad_invitation_gets_one_answer(stage):
    """Unknown, spent and expired alike, so that nobody can tell them."""
    spent = stage.relay.invite("spent")
    assert try_login(stage, "owner", spent).returncode == 0
    expired = stage.relay.invite("expired", "--expires", "60s")
    expire(stage)
    unknown = from_elsewhere(stage)
    answers = [try_login(stage, f"m{number}", invitation)
               for number, invitation in enumerate([spent, expired, unknown])]
    assert {a.returncode for a in answers} == {REFUSED}
    assert len({a.stderr for a in answers}) == 1
    assert "wrong, used up or expired" in answers[0].stderr
    assert "ask the relay's operator" in answers[0].stderr


@pytest.mark.parametrize("change", [
    lambda text: text[:-9], lambda text: "x" + text,
    lambda text: text[:30] + ("A" if text[30] != "A" else "B") + text[31:],
    lambda text: "hello"])
def test_a_damaged_invitation_is_seen_before_it_is_sent(stage, change):
    """A usage error that says to paste it whole."""
    done = try_login(stage, "damaged", change(stage.relay.invite("damaged")))
    assert done.returncode == USAGE
    assert "this is no invitation" in done.stderr


def test_a_machine_that_was_not_invited(stage):
    """Told what to ask for, before anything is dialled."""
    done = machine(stage, "stranger").command("http", "8080")
    assert done.returncode == REFUSED
    assert "sallyport login" in done.stderr


def test_a_revoked_key_is_cut_off_at_once(stage):
    """The live session within two seconds, then every login, for ever."""
    stage.share("cut")
    assert stage.get("/status")[0] == 200
    begin = calm.now()
    done = stage.relay.command("revoke", "machine")
    assert done.returncode == 0 and "revoked" in done.stdout
    assert stage.client.child.wait(10) == REFUSED
    assert calm.now() - begin < 2
    assert "revoked" in stage.client.events("denied")[0]["why"]
    assert stage.get("/status")[0] == 503
    again = stage.client.command("http", "8080")
    assert again.returncode == REFUSED
    assert "revoked" in again.stdout + again.stderr
    # A new invitation does not help the key either.
    done = stage.client.command("login", stdin=stage.relay.invite("again"))
    assert done.returncode == REFUSED and "revoked" in done.stderr


def test_an_invitation_can_be_taken_back(stage):
    """`revoke` of a name that nobody has used yet."""
    invitation = stage.relay.invite("early")
    assert stage.relay.command("revoke", "early").returncode == 0
    assert try_login(stage, "early", invitation).returncode == REFUSED


def test_revoking_nobody_says_so(stage):
    """A typing mistake must not look like success."""
    done = stage.relay.command("revoke", "nobody")
    assert done.returncode == 1 and "no key" in done.stderr


def test_a_kicked_client_comes_back(stage):
    """A kick ends the session only; `sessions` lists who is there."""
    stage.share("kicked")
    listed = stage.relay.command("sessions")
    assert listed.returncode == 0
    assert "kicked" in listed.stdout and "127.0.0.1" in listed.stdout
    done = stage.relay.command("kick", "kicked")
    assert done.returncode == 0 and "1 session ended" in done.stdout
    stages.eventually("second URL",
                      lambda: len(stage.client.events("url")) == 2)
    assert stage.get("/status")[0] == 200
    assert stage.relay.command("kick", "nobody").returncode == 1


def test_a_key_that_others_can_read_is_refused(stage):
    """With its path and what to do."""
    client = stage.enrol()
    os.chmod(key_file(client), 0o644)
    for words in (["http", "8080"], ["login"]):
        done = client.command(*words)
        assert done.returncode == TROUBLE
        assert "machine.key" in done.stderr and "chmod 600" in done.stderr


def test_a_relay_key_that_others_can_read_is_refused(stage):
    """The same for the relay's own."""
    stage.relay.stop()
    keys = [name for name in os.listdir(stage.relay.state)
            if name.endswith(".key") and "ca" not in name]
    os.chmod(os.path.join(stage.relay.state, keys[0]), 0o644)
    done = stage.relay.command("run")
    assert done.returncode == TROUBLE and "chmod 600" in done.stderr
    os.chmod(os.path.join(stage.relay.state, keys[0]), 0o600)
    stage.relay.start()


def test_a_relay_that_is_somebody_elses(stage):
    """Another relay at the pinned address is not believed."""
    client = stage.enrol()
    stage.relay.stop()
    with stages.Stage() as other:
        other.relay.stop()
        other.relay.take_place_of(stage.relay)
        other.relay.start()
        done = client.command("http", "8080", timeout_s=30)
    assert done.returncode == REFUSED
    assert "not the one you were invited to" in done.stdout + done.stderr


@pytest.mark.parametrize("alpn", [None, "sallyport/1"])
def test_something_that_ends_the_tls_is_named(stage, alpn):
    """An intercepting proxy, whether it knows our protocol or not."""
    client = stage.enrol()
    with tls_proxy.TlsProxy(stage.folder, stage.relay.port, alpn) as proxy:
        tls_proxy.point_client_at(client, proxy.port)
        if alpn is None:
            client.start("http", "8080")
            why = client.wait_event("retry")["why"]
            client.stop()
        else:
            done = client.command("http", "8080", "--json", timeout_s=30)
            why = done.stdout + done.stderr
            assert done.returncode == REFUSED
    assert "intercepting proxy" in why
    assert tls_proxy.ISSUER in why


def test_a_login_through_such_a_proxy_fails(stage):
    """And the invitation is still good afterwards: its secret stayed here."""
    invitation = stage.relay.invite("careful")
    client = machine(stage, "careful")
    with tls_proxy.TlsProxy(stage.folder, stage.relay.port,
                            "sallyport/1") as proxy:
        changed = tls_proxy.invitation_to(stage.relay, "other", proxy.port)
        done = client.command("login", stdin=changed)
        assert done.returncode == REFUSED, done.stderr
        assert "intercepting proxy" in done.stderr
    assert client.command("login", stdin=invitation).returncode == 0
