"""An exchange of which both halves are half done, for a test to finish.

    with half_done.exchange(stage) as visitor:
        ...
        half_done.finish(visitor)
"""

import contextlib

import raw_visitor

WAIT_S = 30.0


@contextlib.contextmanager
def exchange(stage):
    """The service has half of the request, the visitor half of the answer."""
    with raw_visitor.open_to(stage.url, stage.ca, timeout_s=WAIT_S) as visitor:
        visitor.ask("/echo", "POST", [("Content-Length", "10")])
        visitor.send(b"first")
        assert visitor.head().status == 200
        visitor.until(b"first")
        yield visitor


def finish(visitor, end="closed"):
    """The other halves arrive; what becomes of the connection then."""
    visitor.send(b"last!")
    visitor.until(b"last!")
    visitor.until(b"0\r\n\r\n")
    if end:
        assert visitor.ends() == end
