"""HTTP/1.1 messages on the wire in one form that can be compared.

canonical() leaves every byte as it is but how a body was cut into chunks,
which is chance: all chunks of a body are joined into one, and a body without its last
chunk stands without any size. It reads strictly, and what it cannot read stays
in sight as it came.
"""

import re


class Message:
    """One message: its head, its form, and how far it has come."""

    def __init__(self, head):
        self.head = head
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.start = first
        self.fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.fields.setdefault(name.lower(), value.strip(" \t"))
        self.form = head
        self.is_whole = False

    @property
    def status(self):
        """A response's status, 0 when it has none."""
        part = self.start.split(" ")[1:2]
        return int(part[0]) if part and part[0].isdigit() else 0


def _chunked(message, data):
    """Read |data| as chunks; what is left of it."""
    body = b""
    while True:
        # Not whole: the body without its sizes, for it may be less than was
        # sent; and what is no chunk, as it came.
        message.form = message.head + body + data
        line, found, rest = data.partition(b"\r\n")
        if not found or not re.fullmatch(rb"[0-9a-fA-F]+", line):
            return b""
        size = int(line, 16)
        if size == 0:
            return _trailers(message, body, rest)
        body += rest[:size]
        message.form = message.head + body
        if len(rest) < size + 2:
            return b""
        if rest[size:size + 2] != b"\r\n":
            message.form += rest[size:]
            return b""
        data = rest[size + 2:]


def _trailers(message, body, data):
    if data.startswith(b"\r\n"):
        trailers, data = b"", data[2:]
    elif b"\r\n\r\n" in data:
        trailers, _, data = data.partition(b"\r\n\r\n")
        trailers += b"\r\n"
    else:
        return b""
    size = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    message.form = message.head + size + b"0\r\n" + trailers + b"\r\n"
    message.is_whole = True
    return data


def messages(data, is_response=False, is_head=False, is_raw_after=False):
    """
    The messages of |data|, and what is no message behind them. |is_head|:
    the first answers HEAD; |is_raw_after|: an upgrade is granted.
    """
    found = []
    while b"\r\n\r\n" in data:
        head, _, data = data.partition(b"\r\n\r\n")
        message = Message(head + b"\r\n\r\n")
        found.append(message)
        if is_raw_after and "upgrade" in message.fields:
            message.is_whole = True
            return found, data
        status = message.status if is_response else 0
        is_bare = is_response and (
            is_head or status < 200 or status in (204, 304))
        if status >= 200:
            is_head = False
        if is_bare:
            message.is_whole = True
            if status == 101:
                return found, data
        elif "transfer-encoding" in message.fields:
            data = _chunked(message, data)
        elif "content-length" in message.fields:
            size = int(message.fields["content-length"])
            message.form += data[:size]
            message.is_whole = len(data) >= size
            data = data[size:]
        elif is_response:
            message.form += data
            data = b""
        else:
            message.is_whole = True
    return found, data


def canonical(data, **how):
    """|data| with the chunks of each body joined."""
    found, rest = messages(data, **how)
    return b"".join(message.form for message in found) + rest
