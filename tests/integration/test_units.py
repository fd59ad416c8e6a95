"""The relay's units for systemd.

Goal: what deploy/install installs is what systemd and the relay understand.
Checks: ports of the socket unit and of the sample settings; `systemd-analyze
verify`, and systemd's own way of passing sockets, where they can be had.
"""

import os
import re
import shutil
import socket
import subprocess

import children
import raw_visitor
import stage as stages
import tunnel

DEPLOY = os.path.join(tunnel.ROOT, "deploy")
PROGRAM = "/usr/local/bin/sallyport-relay"


def read(name):
    """A file of deploy/."""
    with open(os.path.join(DEPLOY, name), encoding="utf-8") as file:
        return file.read()


def test_the_socket_unit_has_the_ports_of_the_sample():
    """Both are installed together, and neither may warn of the other."""
    ports = re.findall(r"^ListenStream=(\d+)$", read("sallyport-relay.socket"),
                       re.MULTILINE)
    listed = re.findall(r"^  - \S*?:(\d+)\"?$", read("relay.yaml"),
                        re.MULTILINE)
    assert ports == ["443", "80"]
    assert listed == ["443", "443", "80", "80"]
    service = read("sallyport-relay.service")
    assert "\nSockets=sallyport-relay.socket\n" in service
    assert "\nAlso=sallyport-relay.socket\n" in service


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    """`systemd-analyze verify`; nothing to do where there is none."""
    if not shutil.which("systemd-analyze"):
        print("no systemd-analyze here")
        return
    for unit in ("sallyport-relay.socket", "sallyport-relay.service"):
        (tmp_path / unit).write_text(read(unit).replace(
            PROGRAM, tunnel.program("sallyport-relay")))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no",
         *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).split("\n")
            if "sallyport" in line]
    assert not ours


def test_systemd_passes_sockets_as_the_relay_takes_them():
    """By systemd-socket-activate; nothing to do where there is none."""
    if not shutil.which("systemd-socket-activate"):
        print("no systemd-socket-activate here")
        return
    with stages.Stage() as stage:
        stage.relay.stop()
        plain = children.free_port()
        stage.relay.prefix = [
            "systemd-socket-activate", "-l", f"127.0.0.1:{stage.relay.port}",
            "-l", f"127.0.0.1:{plain}", "--fdname=web:redirect"]
        # The first who knocks starts it.
        stage.relay.start()
        stage.share()
        assert stage.get("/status")[0] == 200
        assert stage.relay.child.errors().count("socket=passed") == 2
        with socket.create_connection(("127.0.0.1", plain), 10) as raw:
            visitor = raw_visitor.RawVisitor(raw, "a.tunnel.test")
            visitor.ask("/")
            assert visitor.answer().status == 308
