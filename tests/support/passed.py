"""Listening sockets of the test's own, passed on as systemd passes them.

    with Sockets(relay) as sockets:
        relay.start()

The relay's `listen` addresses are bound here, and stay open while one relay
follows another.
"""

import fcntl
import os
import socket

HIGH_FD = 100  # above what a started program opens by itself
BACKLOG = 1024


def listen(port, host="127.0.0.1"):
    """A socket that listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(BACKLOG)
    return sock


def words(fds, names=None, count=None, pid="$$"):
    """
    What stands before a program's own words: a shell that puts the descriptors
    |fds| at 3 and on, and says so in the environment.
    """
    moves = " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(fds))
    named = f"LISTEN_FDNAMES={names} " if names is not None else ""
    number = len(fds) if count is None else count
    return ["bash", "-c", f"export LISTEN_PID={pid} LISTEN_FDS={number} "
            f'{named}; exec "$@" {moves}', "bash"]


class Sockets:
    """The sockets of one relay, |ports| more of them than its own."""

    def __init__(self, relay, ports=(), names=None):
        self.relay = relay
        self.fds = []
        for port in (relay.port, *ports):
            with listen(port) as sock:
                self.fds.append(fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD,
                                            HIGH_FD))
        self.names = names

    def __enter__(self):
        self.relay.prefix = words(self.fds, self.names)
        self.relay.pass_fds = self.fds
        return self

    def __exit__(self, *_):
        self.relay.prefix = []
        self.relay.pass_fds = ()
        for fd in self.fds:
            os.close(fd)
