"""Login under attack: recorded, in the middle, guessed, raced, cut short.

Goal: only a key that the relay knows is let in, on the very connection that
it signed for; an invitation is worth its uses and not one more, whatever
breaks in between; and a wrong clock keeps nobody out for ever.
Checks: each attack against the real relay and the real client; for what has
no instant of its own (a death between two writes) every instant in turn.
"""

import contextlib
import os
import shutil
import sqlite3
import ssl
import threading
import time

import frames
import peer as peers
import pytest
import raw_service
import stage as stages
import tls_proxy
import tunnel

YEAR_S = 366 * 24 * 3600
REFUSED = 4
WRONG = ("AUTH", "the invitation is wrong, used up or expired; ask the "
         "relay's operator for a new one")
LONG_BODY = 20000000000
CUT_S = 8
STEP = 3 if stages.is_sanitized() else 1  # of the deaths that are tried
FAST = ["address-rate: 100000", "address-burst: 100000"]


@pytest.fixture(name="house", scope="module")
def _house():
    """A relay that lets one address connect often."""
    with stages.Stage(settings=FAST) as house:
        yield house


@pytest.fixture(name="peer")
def _peer():
    with peers.Peer() as peer:
        yield peer


def test_a_recorded_login_is_worth_nothing_elsewhere(house, peer):
    """Checks: let in once, the same bytes are refused on the next link."""
    key = peers.machine_key(house.client)
    peer.dial(house.relay.port)
    recorded = peer.send_login(key, peers.relay_key(house.relay))
    assert peer.wait_answer().kind == frames.WELCOME
    peer.close()
    since = peer.mark()
    peer.dial(house.relay.port, "127.0.1.1")
    peer.send(recorded)
    answer = peer.wait_answer(since)
    assert answer.kind == frames.DENIED
    assert answer.sentence[0] == "BINDING"
    assert "not for this connection" in answer.sentence[1]


def test_a_recorded_redemption_is_worth_nothing_elsewhere(house, peer):
    """Checks: refused, and the invitation is as good as before."""
    relay = peers.relay_key(house.relay)
    key, invitation = peers.Key(), peers.invited(house.relay, "recorded")
    with peers.Peer() as relay_peer:
        # What reaches a stranger's relay is a LOGIN for its connection.
        peer.dial(relay_peer.listen())
        recorded = peer.send_login(key, relay, enrol=invitation)
        relay_peer.wait_login()
        peer.close()
    since = peer.mark()
    peer.dial(house.relay.port, "127.0.1.2")
    peer.send(recorded)
    assert peer.wait_answer(since).sentence[0] == "BINDING"
    peer.wait_end(since)
    since = peer.mark()
    peer.dial(house.relay.port, "127.0.1.3")
    answer = peer.login(key, relay, enrol=invitation)
    assert answer.kind == frames.WELCOME


def test_what_the_real_client_signed_is_worth_nothing_elsewhere(house, peer):
    """Checks: its LOGIN, caught by who took the relay's address."""
    client = house.enrol("caught")
    with peers.Peer() as thief:
        tls_proxy.point_client_at(client, thief.listen())
        client.start("http", "8080")
        caught = thief.wait_login()
        assert caught.len == len(caught.payload)
        client.kill()
    peer.dial(house.relay.port, "127.0.1.4")
    peer.send(frames.frame(frames.LOGIN, 0, caught.payload))
    assert peer.wait_answer().sentence[0] == "BINDING"


def test_who_ends_the_tls_in_between_is_named_by_both_ends(house):
    """Checks: its own CA, our ALPN, every byte passed on: refused."""
    client = house.enrol("middled")
    before = house.relay.child.errors().count("reason=BINDING")
    with tls_proxy.TlsProxy(house.folder, house.relay.port,
                            "sallyport/1") as proxy:
        tls_proxy.point_client_at(client, proxy.port)
        done = client.command("http", "8080", "--json", timeout_s=30)
    assert done.returncode == REFUSED
    assert "intercepting proxy" in done.stdout
    assert tls_proxy.ISSUER in done.stdout
    said = house.relay.child.errors()
    assert said.count("reason=BINDING") == before + 1
    assert "something between client and relay ends the TLS" in said


def test_a_relay_with_another_key_is_not_believed(house):
    """Checks: a perfect relay, but its key; and a DENIED it has signed."""
    client = house.enrol("misled")
    for answer in ("welcome", "denied"):
        with peers.Peer() as thief:
            tls_proxy.point_client_at(client, thief.listen())
            client.start("http", "8080")
            thief.wait_login()
            if answer == "welcome":
                thief.welcome(peers.Key())
            else:
                thief.deny(peers.Key(), frames.CODE["REVOKED"], b"go away")
            assert client.child.wait(10) == REFUSED
        why = client.events("denied")[0]["why"]
        assert "not the one you were invited to" in why


def drain(sock):
    """Read to the end, however it comes; how many bytes that were."""
    count = 0
    with contextlib.suppress(OSError):
        while data := sock.recv(65536):
            count += len(data)
    return count


def test_a_revoked_key_loses_what_is_under_way(stage):
    """Checks: a download, a WebSocket; another key's download goes on."""
    stage.share("cut")
    other = stage.enrol("other")
    url = other.http(stage.direct.split("//")[1], name="kept")
    ask = (b"GET /download?bytes=%d HTTP/1.1\r\nHost: %%s\r\n\r\n" % LONG_BODY)
    names = ["cut.tunnel.test", "cut.tunnel.test", "kept.tunnel.test"]
    with contextlib.ExitStack() as stack:
        download, socket, kept = (stack.enter_context(
            raw_service.visit(stage.relay.port, stage.ca, name))
            for name in names)
        download.sendall(ask % b"cut.tunnel.test")
        kept.sendall(ask % b"kept.tunnel.test")
        socket.sendall(b"GET /ws HTTP/1.1\r\nHost: cut.tunnel.test\r\n"
                       b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
                       b"Sec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert b" 101 " in raw_service.read_head(socket)[0]
        for sock in (download, kept):
            assert b" 200 " in raw_service.read_head(sock)[0]
        began = time.monotonic()
        assert stage.relay.command("revoke", "machine").returncode == 0
        assert drain(download) < LONG_BODY
        drain(socket)
        assert time.monotonic() - began < CUT_S
        assert len(raw_service.read_exactly(kept, 2000000)) == 2000000
    assert stage.client.child.wait(10) == REFUSED
    for words in (["http", "8080"], ["login"]):
        done = stage.client.command(*words,
                                    stdin=stage.relay.invite("again"))
        assert done.returncode == REFUSED
        assert "revoked" in done.stdout + done.stderr
    assert stage.get("/status", url=url)[0] == 200


def guess(peer, house, source, invitation=None, key=None):
    """The relay's answer to one more secret from |source|."""
    since = peer.mark()
    peer.dial(house.relay.port, source)
    answer = peer.login(key or peers.Key(),
                        peers.relay_key(house.relay),
                        enrol=invitation or peers.Key())
    peer.wait_end(since)
    return answer


class Spare:
    """Keys made beforehand: a program is run for each public half."""

    def __init__(self, count):
        seeds = [os.urandom(32) for _ in range(count)]
        lines = peers.ask_all(f"public {seed.hex()}" for seed in seeds)
        self.keys = [peers.Key(seed, bytes.fromhex(words[1]))
                     for seed, words in zip(seeds, lines)]

    def take(self):
        """One that nobody used."""
        return self.keys.pop()


def test_a_thousand_wrong_secrets_are_hardly_looked_at(house, peer):
    """Checks: five a minute, then ever longer waits; others do not wait."""
    count = 100 if stages.is_sanitized() else 1000
    spare = Spare(count + 1)
    relay, one = peers.relay_key(house.relay), spare.take()
    known = peers.machine_key(house.client)
    judged, answers = 0, []
    began = time.monotonic()
    for _ in range(count):
        answer = guess(peer, house, "127.0.2.1", spare.take(), one)
        answers.append(answer.sentence)
        judged += answer.sentence == WRONG
    took_s = time.monotonic() - began
    assert {code for code, _ in answers} == {"AUTH", "LIMIT"}
    assert answers[:5] == [WRONG] * 5
    assert "too many failed logins" in answers[-1][1]
    assert judged <= 7 + int(took_s + 1).bit_length()
    # Nobody else pays for it: not another address, not a known key here.
    peer.dial(house.relay.port, "127.0.2.1")
    assert peer.login(known, relay).kind == frames.WELCOME
    peer.close()
    invitation = peers.invited(house.relay, "patient")
    since = peer.mark()
    peer.dial(house.relay.port, "127.0.2.2")
    assert peer.login(peers.Key(), relay, invitation).kind == frames.WELCOME
    peer.close()
    assert peer.wait_answer(since).kind == frames.WELCOME


def expire(house, name):
    """Make the invitation |name| older than its day."""
    path = os.path.join(house.relay.state, "relay.db")
    with sqlite3.connect(path, timeout=10) as store:
        store.execute("UPDATE invitations SET expires = ? WHERE name = ?",
                      (int(time.time()) - 1, name))
    store.close()


def cpu_ns(child):
    """The processor time that |child| has used."""
    with open(f"/proc/{child.process.pid}/schedstat",
              encoding="ascii") as source:
        return int(source.read().split()[0])


def test_no_answer_tells_which_invitations_there_are(house, peer):
    """Checks: the same bytes, and about the same work of the relay."""
    spent = peers.invited(house.relay, "told-spent")
    assert guess_once(peer, house, "127.0.3.1", spent) == frames.WELCOME
    expired = peers.invited(house.relay, "told-expired")
    expire(house, "told-expired")
    unused = peers.invited(house.relay, "told-unused")
    forged = peers.Key(peers.Key().seed, unused.public)
    kinds = {"unknown": peers.Key(), "spent": spent, "expired": expired,
             "forged": forged}
    key, said, work = peers.Key(), set(), {name: [] for name in kinds}
    number = 0
    for _ in range(5):
        for name, invitation in kinds.items():
            before = cpu_ns(house.relay.child)
            for _ in range(2 if stages.is_sanitized() else 8):
                number += 1
                source = f"127.0.{4 + number // 250}.{1 + number % 250}"
                answer = guess(peer, house, source, invitation, key)
                said.add(answer.payload[:-64])
            work[name].append(cpu_ns(house.relay.child) - before)
    assert len(said) == 1
    medians = [sorted(work[name])[2]
               for name in ("unknown", "spent", "expired")]
    assert max(medians) < 2 * min(medians), work
    # Whoever knows an invitation's public half has nothing.
    assert guess_once(peer, house, "127.0.3.2", unused) == frames.WELCOME


def guess_once(peer, house, source, invitation):
    """What kind of answer an invitation gets; the link is closed."""
    since = peer.mark()
    peer.dial(house.relay.port, source)
    peer.send_login(peers.Key(), peers.relay_key(house.relay), invitation)
    kind = peer.wait_answer(since).kind
    peer.close()
    return kind


def stored(house, sql):
    """One number of the relay's store."""
    path = os.path.join(house.relay.state, "relay.db")
    with sqlite3.connect(path, timeout=10) as store:
        value = store.execute(sql).fetchone()[0]
    store.close()
    return value


def at_once(house, logins):
    """Send all |logins| (key, invitation) in one moment; their answers."""
    relay = peers.relay_key(house.relay)
    with contextlib.ExitStack() as stack:
        group = [stack.enter_context(peers.Peer()) for _ in logins]
        for number, one in enumerate(group):
            one.dial(house.relay.port, f"127.0.8.{number + 1}")
        start = threading.Barrier(len(group))
        answers = [None] * len(group)

        def send(number):
            start.wait(10)
            key, invitation = logins[number]
            answers[number] = group[number].login(key, relay, invitation)

        threads = [threading.Thread(target=send, args=(n,))
                   for n in range(len(group))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    return answers


def test_an_invitation_for_one_lets_one_in(stage):
    """Checks: of four keys at once one; one key four times at once counts
    once."""
    for turn in range(2 if stages.is_sanitized() else 5):
        invitation = peers.invited(stage.relay, f"race-{turn}")
        keys = [peers.Key() for _ in range(4)]
        answers = at_once(stage, [(key, invitation) for key in keys])
        let_in = [a for a in answers if a.kind == frames.WELCOME]
        assert len(let_in) == 1
        assert {a.sentence for a in answers if a not in let_in} == {WRONG}
        assert stored(stage, "SELECT count(*) FROM keys") == turn + 1
        # Four addresses fail three times each turn: a relay that forgets.
        stage.relay.stop()
        stage.relay.start()
    invitation = peers.invited(stage.relay, "same", "--uses", "2")
    key = peers.Key()
    answers = at_once(stage, [(key, invitation)] * 4)
    assert {a.kind for a in answers} == {frames.WELCOME}
    assert stored(stage, "SELECT uses_left FROM invitations"
                  " WHERE name = 'same'") == 1


def check_counted_once(stage, peer, key, invitation, name):
    """The key is let in by the invitation it tried; it is one use."""
    relay = peers.relay_key(stage.relay)
    peer.dial(stage.relay.port)
    assert peer.login(key, relay, invitation).kind == frames.WELCOME
    peer.close()
    since = peer.mark()
    peer.dial(stage.relay.port)
    assert peer.login(peers.Key(), relay, invitation).sentence == WRONG
    peer.wait_end(since)
    assert stored(stage, "SELECT count(*) FROM redemptions JOIN invitations"
                  " USING (enrol_key) WHERE name = '%s'" % name) == 1


def test_a_relay_that_dies_while_it_redeems_counts_once(stage, peer):
    """Checks: SIGKILL before each write and sync there is, in turn."""
    relay, armed = peers.relay_key(stage.relay), None
    deaths = 0
    for call in range(1, 60, STEP):
        stage.relay.kill()
        armed = os.path.join(stage.relay.state, f"armed-{call}")
        stage.relay.env = dict(os.environ, **peers.death(armed, call))
        stage.relay.start()
        key = peers.Key()
        invitation = peers.invited(stage.relay, f"death-{call}")
        since = peer.mark()
        peer.dial(stage.relay.port)
        open(armed, "w", encoding="ascii").close()
        peer.send_login(key, relay, invitation)
        peer.wait("an answer or an end", lambda: peer.has_ended(since) or [
            f for f in peer.frames(None, since) if f.kind == frames.WELCOME])
        time.sleep(0.02)
        if stage.relay.child.is_running():
            peer.close()
            break
        deaths += 1
        peer.wait_end(since)
        stage.relay.env = dict(os.environ)
        stage.relay.start()
        check_counted_once(stage, peer, key, invitation, f"death-{call}")
    assert deaths * STEP >= 5
    assert call < 56


def test_a_client_that_dies_while_it_redeems_is_let_in(stage):
    """Checks: SIGKILL before each write and sync, then the same command."""
    deaths = 0
    for call in range(1, 60, STEP):
        name = f"killed-{call}"
        client = tunnel.Client(stage.relay, stage.folder, name)
        invitation = stage.relay.invite(name)
        folder = os.path.join(client.folder, "state", "sallyport")
        os.makedirs(folder, mode=0o700)
        armed = os.path.join(folder, "armed")
        open(armed, "w", encoding="ascii").close()
        right = client.env
        client.env = dict(right, **peers.death(armed, call))
        done = client.command("login", stdin=invitation)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        deaths += 1
        client.env = right
        done = client.command("login", stdin=invitation)
        assert done.returncode == 0, done.stderr
        assert stored(stage, "SELECT uses_left FROM invitations"
                      f" WHERE name = '{name}'") == 0
    assert deaths * STEP >= 5
    assert call < 56


def shifted(env, shift_s):
    """|env| with a date that is wrong by |shift_s|."""
    return dict(env, **peers.false_clock(shift_s))


@pytest.mark.parametrize("shift_s", [-YEAR_S, YEAR_S])
def test_a_client_whose_date_is_wrong_is_let_in(stage, shift_s):
    """Checks: links are pinned by key, no date has a say: all works."""
    client = tunnel.Client(stage.relay, stage.folder, "late")
    stage.clients.append(client)
    client.env = shifted(client.env, shift_s)
    client.login()
    assert stage.share("late") == f"https://late.tunnel.test:" \
        f"{stage.relay.port}"
    assert stage.get("/status")[0] == 200


def visit_by_clock(stage):
    """What a visitor with the right date gets: a status or a complaint."""
    try:
        return stage.get("/status")[0]
    except ssl.SSLCertVerificationError as error:
        return error.verify_message


@pytest.mark.parametrize("shift_s", [-YEAR_S, YEAR_S])
def test_a_relay_whose_date_is_wrong_lets_known_keys_in(stage, shift_s):
    """
    Checks: the link and the name at once; a year ahead the visitors complain
    about the new certificate until the date is right again, and then no more.
    """
    before = stage.relay.invite("before")
    stage.share("kept")
    assert visit_by_clock(stage) == 200
    right = stage.relay.env
    stage.relay.stop()
    stage.relay.env = shifted(os.environ, shift_s)
    stage.relay.start()
    stage.client.child.wait_for("its URL again", lambda: len(
        stage.client.events("url")) == 2, tunnel.START_S)
    log = stage.relay.child.errors()
    if shift_s > 0:
        assert visit_by_clock(stage) == "certificate is not yet valid"
    else:
        assert visit_by_clock(stage) == 200
        assert "local-ca-early" in log and "is the clock right?" in log
    # An invitation of the right time has ended, or was not made yet.
    late = tunnel.Client(stage.relay, stage.folder, "late")
    done = late.command("login", stdin=before)
    assert done.returncode == REFUSED and WRONG[1] in done.stderr
    # One of the wrong time is good in it, and not for a year afterwards.
    during = [stage.relay.invite(f"during-{n}") for n in range(2)]
    assert late.command("login", stdin=during[0]).returncode == 0
    stage.relay.stop()
    stage.relay.env = right
    stage.relay.start()
    stage.client.child.wait_for("its URL again", lambda: len(
        stage.client.events("url")) == 3, tunnel.START_S)
    assert visit_by_clock(stage) == 200
    later = tunnel.Client(stage.relay, stage.folder, "later")
    done = later.command("login", stdin=during[1])
    assert done.returncode == REFUSED and WRONG[1] in done.stderr
    # Far in the future the old ones were thrown away.
    done = later.command("login", stdin=before)
    assert done.returncode == (0 if shift_s < 0 else REFUSED)


@pytest.mark.parametrize("shift_s", [-YEAR_S, YEAR_S])
def test_a_relay_that_begins_with_a_wrong_date_says_so_later(shift_s):
    """Checks: all by its own date; a CA of the future is told of by file."""
    with stages.Stage() as stage:
        stage.relay.stop()
        shutil.rmtree(stage.relay.state)
        os.makedirs(stage.relay.state, mode=0o700)
        right = stage.relay.env
        stage.relay.env = shifted(os.environ, shift_s)
        stage.relay.start()
        stage.share("odd")
        assert visit_by_clock(stage) == (
            200 if shift_s < 0 else "certificate is not yet valid")
        stage.client.stop()
        stage.relay.stop()
        stage.relay.env = right
        stage.relay.start()
        stage.share("odd")
        log = stage.relay.child.errors()
        if shift_s < 0:
            assert visit_by_clock(stage) == 200
        else:
            assert "local-ca-early" in log and "local-ca.pem" in log
