"""Names: who gets which, who keeps it, who has to let go.

Goal: a name is its key's for ever, the same target gets the same name again,
and when two want one, each is told in a sentence and an exit code.
Checks: generated and wanted names, restarts of both programs, reserved and
taken names, two clients of one key, many tunnels on one session.
"""

import re

import pytest
import stage as stages
import tunnel

USAGE = 2
REPLACED = 3
REFUSED = 4
LABEL = re.compile(r"https://([a-z]+-[a-z]+-[a-z0-9]{8})\.")


def restart(client, target, **options):
    """Stop the client and share again; the URL."""
    client.stop()
    return client.http(target, **options)


def test_a_generated_name_is_kept(stage):
    """Two words and eight letters; the same again after either restarts."""
    target = f"127.0.0.1:{stage.serve()}"
    url = stage.client.http(target)
    assert LABEL.match(url)
    assert restart(stage.client, target) == url
    stage.client.stop()
    stage.relay.stop()
    stage.relay.start()
    assert stage.client.http(target) == url
    assert stage.get("/status", url)[0] == 200
    listed = stage.relay.command("names").stdout
    assert LABEL.match(url)[1] in listed and "machine" in listed


def test_another_target_gets_another_name(stage):
    """And a wanted name does not change the generated one."""
    client = stage.client
    first = client.http(f"127.0.0.1:{stage.serve()}", options=["--no-probe"])
    second = restart(client, "127.0.0.1:1", options=["--no-probe"])
    assert first != second
    named = restart(client, "127.0.0.1:1", name="wanted",
                    options=["--no-probe"])
    assert named.startswith("https://wanted.")


def test_another_machine_gets_another_name_for_its_8080(stage):
    """The tag of a target is worth nothing without the key's secret."""
    target = f"127.0.0.1:{stage.serve()}"
    urls = {stage.enrol(name).http(target) for name in ("one", "two")}
    assert len(urls) == 2


def test_a_wanted_name_is_had_and_kept(stage):
    """`--name demo` when it is free, and again when it is ours."""
    target = f"127.0.0.1:{stage.serve()}"
    url = stage.client.http(target, name="demo")
    assert url == f"https://demo.{tunnel.BASE}:{stage.relay.port}"
    assert restart(stage.client, target, name="demo") == url


@pytest.mark.parametrize("name", [
    "www", "mail", "admin", "api", "autodiscover", "wpad", "isatap",
    "localhost", "xn--80ak6aa92e", "_dmarc", "a.b", "-a", "a-", "ü", "Demo"])
def test_names_that_nobody_gets(stranger, name):
    """Reserved ones and what is no label: said before anything is dialled."""
    done = stranger.command("http", "8080", "--name", name)
    assert done.returncode == USAGE, done.stdout + done.stderr
    assert done.stderr.startswith(f"sallyport: {name}: ")


@pytest.fixture(name="stranger", scope="module")
def one_machine_for_refusals():
    """A machine and its relay."""
    with stages.Stage() as house:
        yield house.client


def test_another_keys_name_is_refused_for_ever(stage):
    """While it is served, and after its owner has gone."""
    target = f"127.0.0.1:{stage.serve()}"
    owner, other = stage.enrol("owner"), stage.enrol("other")
    url = owner.http(target, name="mine")
    for _ in range(2):
        done = other.command("http", target, "--name", "mine")
        assert done.returncode == REFUSED
        assert "belongs to another key" in done.stdout
        owner.stop()
    stage.relay.command("revoke", "owner")
    done = other.command("http", target, "--name", "mine")
    assert done.returncode == REFUSED
    assert stage.get("/", url)[0] == 503


def test_the_newer_of_two_clients_with_one_key_wins(stage):
    """
    At once; the older says who took over and when, and ends with 3. The
    relay's log says it too.
    """
    target = f"127.0.0.1:{stage.serve()}"
    older = stage.client
    url = older.http(target, name="moved")
    newer = stage.twin(older)
    assert newer.http(target, name="moved") == url
    assert older.child.wait(10) == REPLACED
    why = older.events("replaced")[0]["why"]
    assert "another client with this key, at 127.0.0.1:" in why
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", why)
    assert "name-taken-over" in stage.relay.child.errors()
    assert stage.get("/status", url)[0] == 200
    assert newer.child.is_running()


def test_replaced_is_over_only_when_no_tunnel_is_left(stage):
    """A client that loses one of two names serves the other."""
    port = stage.serve()
    urls = stage.share_many({"stays": port, "goes": port})
    twin = stage.twin(stage.client)
    twin.http(f"127.0.0.1:{port}", name="goes")
    stage.client.wait_event("replaced")
    assert stage.client.child.is_running()
    assert stage.get("/status", urls["stays"])[0] == 200


def test_start_shares_all_tunnels_of_the_settings(stage):
    """On one session; each at its own service."""
    echo, port = stages.start_echo(stage.folder, name="second")
    try:
        urls = stage.share_many({"one": stage.serve(), "two": port})
        assert stage.get("/only-one", urls["one"])[0] == 404
        assert b"/only-one" in stage.get("/seen", urls["one"])[1]
        assert b"/only-one" not in stage.get("/seen", urls["two"])[1]
        sessions = stage.relay.command("sessions").stdout
        assert len(sessions.strip().split("\n")) == 2
        assert "one" in sessions and "two" in sessions
    finally:
        echo.stop()


def test_a_key_has_at_most_its_names(tmp_path_factory):
    """The next one is refused, with what can be done."""
    del tmp_path_factory
    with stages.Stage(["names: 2"]) as house:
        for name in ("one", "two"):
            house.client.http("127.0.0.1:1", name=name,
                              options=["--no-probe"])
            house.client.stop()
        done = house.client.command("http", "1", "--name", "three",
                                    "--no-probe")
        assert done.returncode != 0
        assert "has its 2 names already" in done.stdout
