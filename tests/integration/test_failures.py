"""When something is wrong with the machine or the settings.

Goal: each says what happened, to what, and what to do, with its exit code.
Checks: taken ports, unreadable and wrong settings, wrong words, a full disk,
signals that end the programs gently or at once.
"""

import concurrent.futures
import os
import re
import signal
import socket
import subprocess

import calm
import pytest
import raw_visitor
import stage as stages
import tunnel

USAGE = 2
TROUBLE = 1


def run_relay(stage, *flags):
    """`sallyport-relay run` that should not stay; the finished process."""
    return stage.relay.command("run", *flags)


def test_a_taken_port(stage):
    """Named, with the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        state = os.path.join(stage.folder, "other")
        done = run_relay(stage, "--state", state,
                         "--listen", f"127.0.0.1:{port}")
    assert done.returncode == TROUBLE
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "in use" in done.stderr


def test_a_second_relay_on_one_state_folder(stage):
    """Refused: two would overwrite each other's names."""
    done = run_relay(stage, "--listen", "127.0.0.1:0", "--public-port", "1")
    assert done.returncode == TROUBLE
    assert "another relay runs with this state folder" in done.stderr


SETTINGS = {
    "listn: 127.0.0.1:1": "unknown key \"listn\"; did you mean \"listen\"?",
    "domain: tunnel.test\ndomain: other.test": "domain",
    "streams: many": "streams",
    "streams: 1": "streams",
    "listen: nowhere": "nowhere",
    "domain: [a, b": ":",
    "log: loud": "loud",
    "grace: 3 weeks": "grace",
}


@pytest.mark.parametrize("text", SETTINGS)
def test_wrong_settings_of_the_relay(tmp_path, text):
    """Exit code 2, the file, the line where there is one, and what it was."""
    path = tmp_path / "relay.yaml"
    first = "" if text.startswith("domain") else "domain: tunnel.test\n"
    path.write_text(first + text + "\n")
    for verb in ("run", "check"):
        done = subprocess.run(
            [tunnel.program("sallyport-relay"), verb, "--config", path,
             "--state", tmp_path / "state"],
            capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == USAGE, done.stderr
        assert SETTINGS[text] in done.stderr
        if text.split(":")[0] in ("listn", "domain", "streams", "grace"):
            assert re.search(r"relay\.yaml:\d", done.stderr), done.stderr


@pytest.fixture(name="loner")
def a_client_without_relay(tmp_path):
    """A machine whose relay is nowhere."""
    class Nowhere:
        """No relay."""

    return tunnel.Client(Nowhere(), str(tmp_path))


CLIENT_SETTINGS = {
    "naem: demo": "unknown key \"naem\"; did you mean \"name\"?",
    "json: true\njson: false": "json",
    "json: perhaps": "json",
    "tunnels:\n  a:\n    target: 1\n    port: 2": "port",
    "tunnels:\n  a:\n    target: 1\n  a:\n    target: 2": "a",
    "log: loud": "loud",
}


TARGETS = {
    "name: x": "a: target: none: give a PORT, a HOST:PORT or a URL",
    "target: 80000": "a: target: 80000: a port is a number",
}


@pytest.mark.parametrize("text", TARGETS)
def test_a_wrong_target_is_told_with_its_tunnel(loner, text):
    """There may be many in the file."""
    loner.configure(f"tunnels:\n  a:\n    {text}")
    done = loner.command("start")
    assert done.returncode == USAGE, done.stderr
    assert TARGETS[text] in done.stderr


@pytest.mark.parametrize("text", CLIENT_SETTINGS)
def test_wrong_settings_of_the_client(loner, text):
    """The same for ~/.config/sallyport/config.yaml."""
    loner.configure(text)
    done = loner.command("start")
    assert done.returncode == USAGE, done.stderr
    assert CLIENT_SETTINGS[text] in done.stderr
    if not text.startswith("log"):
        assert re.search(r"config\.yaml:\d", done.stderr), done.stderr


def test_settings_that_cannot_be_read(loner, tmp_path):
    """A folder in its place, a file that is not there."""
    done = loner.command("http", "1", "--config", str(tmp_path))
    assert done.returncode == USAGE and str(tmp_path) in done.stderr
    done = loner.command("http", "1", "--config", "/nonexistent.yaml")
    assert done.returncode == USAGE
    assert "/nonexistent.yaml: no such file" in done.stderr
    done = subprocess.run(
        [tunnel.program("sallyport-relay"), "check", "--config",
         "/nonexistent.yaml"], capture_output=True, text=True, timeout=20,
        check=False)
    assert done.returncode == USAGE and "/nonexistent.yaml" in done.stderr


def test_settings_that_may_not_be_read(loner, tmp_path):
    """A file without read permission, for a user who is not root."""
    path = tmp_path / "config.yaml"
    path.write_text("json: true\n")
    path.chmod(0)
    words = [tunnel.program("sallyport"), "http", "1", "--config", str(path)]
    if os.geteuid() == 0:
        words = ["setpriv", "--reuid", "65534", "--clear-groups", *words]
    done = subprocess.run(words, env=loner.env, capture_output=True,
                          text=True, timeout=20, check=False)
    if done.returncode in (126, 127):
        pytest.skip("the programs lie where only root can run them")
    assert done.returncode == USAGE, done.stderr
    assert f"{path}: Permission denied" in done.stderr


WORDS = {
    (): "",
    ("htpp", "8080"): "htpp: there is no such verb; did you mean http?",
    ("login", "sallyport:abc"): "paste",
    ("login", "/nonexistent"): "/nonexistent: No such file",
    ("http", "8080", "--config"): "--config: a value must follow",
    ("http",): "one target",
    ("http", "1", "2"): "one target",
    ("http", "8080", "--naem", "x"): "naem",
    ("http", "0"): "0",
    ("http", "70000"): "70000",
    ("http", "ftp://localhost/"): "ftp",
    ("http", "http://localhost:80/path"): "path",
    ("start",): "no tunnels",
}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_wrong_words(loner, words):
    """Exit code 2 and what was wrong."""
    done = loner.command(*words)
    assert done.returncode == USAGE, done.stderr
    assert WORDS[words] in done.stderr + done.stdout


@pytest.mark.parametrize("name", ["sallyport", "sallyport-relay"])
def test_help_fits_a_terminal(name):
    """Every line within 80 columns."""
    done = subprocess.run([tunnel.program(name), "--help"], text=True,
                          capture_output=True, timeout=20, check=True)
    assert done.stdout.count("\n") > 20
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def sample(name):
    """A file of deploy/, and the same with what it has commented out."""
    path = os.path.join(tunnel.ROOT, "deploy", name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text, re.sub(r"^# ([a-z-]+: )", r"\1", text, flags=re.M)


def test_the_sample_settings_of_the_relay_are_true(tmp_path):
    """`check` takes them; what is commented out is the default."""
    shown = []
    (tmp_path / "certs").mkdir()
    for text in sample("relay.yaml"):
        path = tmp_path / "relay.yaml"
        path.write_text(text)
        done = subprocess.run(
            [tunnel.program("sallyport-relay"), "check", "--local-ca",
             "--config", path, "--certs", tmp_path / "certs"], text=True,
            capture_output=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
    assert shown[0] == shown[1]
    assert 'redirect-listen:\n  - "0.0.0.0:80"' in shown[0]


def test_the_sample_settings_of_the_client_are_true(loner):
    """`start` takes them, and only then misses an invitation."""
    for text in sample("config.yaml"):
        loner.configure(text)
        done = loner.command("start")
        assert "was not invited to a relay yet" in done.stderr, done.stderr


def test_a_target_that_speaks_no_tls(stage):
    """Said as such: something does listen there."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        service.settimeout(20)
        port = service.getsockname()[1]
        stage.client.http(f"https://127.0.0.1:{port}", "plain",
                          ["--insecure-target"])
        with service.accept()[0] as visit:
            visit.recv(65536)
            visit.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        event = stage.client.wait_event("nothing-listens")
    assert "(what answers there speaks no TLS)" in event["text"]


def test_check_prints_the_settings(stage):
    """What holds, by file and default."""
    done = stage.relay.command("check")
    assert done.returncode == 0, done.stderr
    assert f'domain: "{tunnel.BASE}"' in done.stdout
    assert "grace: " in done.stdout


def test_no_command_without_a_running_relay(stage):
    """`sessions` and `kick` say that none runs; `names` needs none."""
    stage.relay.stop()
    for words in (["sessions"], ["kick", "x"]):
        done = stage.relay.command(*words)
        assert done.returncode == TROUBLE
        assert "no relay runs with state" in done.stderr
    assert stage.relay.command("names").returncode == 0
    stage.relay.start()


def slow_get(stage):
    """A request that takes a second; its answer or what cut it."""
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask("/slow?ms=1000")
        try:
            return visitor.answer().body
        except (raw_visitor.Cut, raw_visitor.Ended) as error:
            return error


def begin_slow(stage, pool):
    """Start one, and wait until the service has it."""
    future = pool.submit(slow_get, stage)
    stages.eventually("request at the service", lambda: b"/slow" in
                      tunnel.curl(stage.direct + "/seen?path=/slow",
                                  stage.ca))
    return future


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_client_told_to_end_finishes_what_is_under_way(stage, number):
    """The answer arrives; then it ends with 0, and well before 10 s."""
    stage.share("drained")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = begin_slow(stage, pool)
        begin = calm.now()
        stage.client.child.signal(number)
        stage.client.wait_event("draining")
        assert answer.result(30) == b"at last\n"
        assert stage.client.child.wait(5) == 0
        assert calm.now() - begin < 5


def test_a_client_told_twice_ends_at_once(stage):
    """What was under way is cut or answered with 502, never left hanging."""
    stage.share("quit")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = begin_slow(stage, pool)
        stage.client.child.signal(signal.SIGINT)
        stage.client.wait_event("draining")
        begin = calm.now()
        stage.client.child.signal(signal.SIGINT)
        assert stage.client.child.wait(5) == 0
        assert calm.now() - begin < 0.9
        assert answer.result(30) != b"at last\n"


def test_an_idle_client_ends_at_once(stage):
    """Nothing is under way: nothing is waited for."""
    stage.share("idle")
    assert stage.get("/status")[0] == 200
    begin = calm.now()
    stage.client.child.signal(signal.SIGTERM)
    assert stage.client.child.wait(5) == 0
    assert calm.now() - begin < 0.9


def test_a_relay_told_to_end_finishes_what_is_under_way(stage):
    """The answer arrives, and nobody new is let in."""
    stage.share("drained")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = begin_slow(stage, pool)
        begin = calm.now()
        stage.relay.child.signal(signal.SIGTERM)
        assert answer.result(30) == b"at last\n"
        assert stage.relay.child.wait(10) == 0
        assert calm.now() - begin < 8


def test_a_relay_told_twice_ends_at_once(stage):
    """Visitors are cut."""
    stage.share("quit")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = begin_slow(stage, pool)
        stage.relay.child.signal(signal.SIGTERM)
        stages.eventually("draining", lambda: " draining " in
                          stage.relay.child.errors())
        stage.relay.child.signal(signal.SIGTERM)
        assert stage.relay.child.wait(5) == 0
        assert answer.result(30) != b"at last\n"


def test_a_draining_relay_whose_client_dies_ends(stage):
    """The last response is cut with its session, and the relay ends."""
    stage.share("quit")
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask("/endless")
        assert visitor.head().status == 200
        stage.relay.child.signal(signal.SIGTERM)
        stages.eventually("draining", lambda: " draining " in
                          stage.relay.child.errors())
        stage.client.child.signal(signal.SIGKILL)
        assert stage.relay.child.wait(5) == 0
