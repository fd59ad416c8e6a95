"""Bodies, small and large, in both directions.

Goal: what one end sends is what the other end gets, whatever its size and
however it was framed, with little memory, and without one slow reader
holding up the others.
Checks: hashes by curl up to 2 GB both ways, chunked bodies, many at once,
peak memory of both programs under 64 MB each.
"""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import threading
import urllib.parse

import calm
import pattern
import pytest
import raw_visitor
import stage as stages
import tunnel

MB = 1000 * 1000
# Sanitizers make everything some ten times slower, and memory theirs.
LARGE = 60 * MB if stages.is_sanitized() else 2000 * MB
MIDDLE = 25 * MB
PEAK_BYTES_MAX = 64 * MB
LIMIT_S = 180


@pytest.fixture(name="large_file", scope="module")
def large_file_once(tmp_path_factory):
    """A file of the largest size, gone with the module."""
    path = tmp_path_factory.mktemp("transfer") / "large"
    pattern.write_file(path, LARGE)
    yield str(path)
    os.unlink(path)


def curl_upload(stage, path, length, *options):
    """PUT |length| bytes of the pattern's file; what the service counted."""
    done = tunnel.curl(stage.url + "/upload", stage.ca, "-T", path,
                       "-H", "Expect:", *options, timeout_s=LIMIT_S)
    got = json.loads(done)
    assert got == {"bytes": length, "sha256": pattern.sha256(length)}


def curl_download(stage, length, query=""):
    """GET |length| bytes by curl and hash them as they come."""
    parts = urllib.parse.urlsplit(stage.url)
    with subprocess.Popen(
            ["curl", "-sS", "--max-time", str(LIMIT_S), "--cacert", stage.ca,
             "--resolve", f"{parts.hostname}:{parts.port}:127.0.0.1",
             f"{stage.url}/download?bytes={length}{query}"],
            stdout=subprocess.PIPE) as curl:
        digest, got = hashlib.sha256(), 0
        while data := curl.stdout.read(1024 * 1024):
            digest.update(data)
            got += len(data)
        assert curl.wait() == 0
    assert (got, digest.hexdigest()) == (length, pattern.sha256(length))


def check_peaks(stage):
    """The claim on memory, which is none with a sanitizer's allocator."""
    peaks = {"relay": stages.peak_bytes(stage.relay.child),
             "client": stages.peak_bytes(stage.client.child)}
    print(f"peak memory: {peaks}")
    if not stages.is_sanitized():
        assert max(peaks.values()) < PEAK_BYTES_MAX, peaks


def test_a_get_by_curl(shared):
    """A page comes as the service sent it."""
    near = tunnel.curl(shared.direct + "/", shared.ca)
    assert tunnel.curl(shared.url + "/", shared.ca) == near


def test_a_post_comes_back(shared):
    """A small body goes there and back."""
    body = "a=b&c=d ü".encode()
    assert tunnel.curl(shared.url + "/echo", shared.ca,
                       "--data-binary", body) == body


@pytest.mark.parametrize("coding", ["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 16375, 16376, 16377, 300_000,
                                  3_000_000])
def test_bodies_of_any_size_come_back(shared, tmp_path, coding, size):
    """Sizes around a frame, over a window, in both framings."""
    path = tmp_path / "body"
    pattern.write_file(path, size)
    options = ["-X", "POST", "--data-binary", f"@{path}"]
    if coding == "chunked":
        options += ["-H", "Transfer-Encoding: chunked"]
    got = tunnel.curl(shared.url + "/echo", shared.ca, *options)
    assert got == path.read_bytes()


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_an_upload_of_25_mb(shared, tmp_path, coding):
    """As a recording or a document is uploaded."""
    path = tmp_path / "body"
    pattern.write_file(path, MIDDLE)
    curl_upload(shared, str(path), MIDDLE,
                *(["-H", "Transfer-Encoding: chunked"]
                  if coding == "chunked" else []))


@pytest.mark.parametrize("query", ["", "&chunked=1"])
def test_a_download_of_25_mb(shared, query):
    """With a length and in chunks."""
    curl_download(shared, MIDDLE, query)


def test_2_gb_up_and_down_in_little_memory(stage, large_file):
    """The largest sizes by curl; the peaks are read while both still run."""
    stage.share("large")
    curl_upload(stage, large_file, LARGE)
    curl_download(stage, LARGE)
    check_peaks(stage)


def test_many_at_once(stage):
    """Uploads and downloads together, each whole, and in little memory."""
    stage.share("many")
    size = MIDDLE // (5 if stages.is_sanitized() else 1)
    path = os.path.join(stage.folder, "body")
    pattern.write_file(path, size)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ways = [pool.submit(curl_upload, stage, path, size) for _ in range(4)]
        ways += [pool.submit(curl_download, stage, size) for _ in range(4)]
        for way in ways:
            way.result(LIMIT_S)
    check_peaks(stage)


def test_a_slow_reader_holds_up_nobody(stage):
    """Downloads that nobody reads stand still; others do not notice."""
    stage.share("slow")
    stuck = []
    for _ in range(8):
        visitor = raw_visitor.open_to(stage.url, stage.ca,
                                      receive_bytes=16384)
        visitor.ask(f"/download?bytes={MIDDLE}")
        assert visitor.head().status == 200
        stuck.append(visitor)
    begin = calm.now()
    curl_download(stage, 5 * MB)
    assert stage.get("/status?code=200")[0] == 200
    assert calm.now() - begin < 10
    check_peaks(stage)
    # And what stood still goes on where it was.
    answer = b""
    while len(answer) < MB:
        answer += stuck[0].read()
    assert answer[:MB] == b"".join(pattern.blocks(MB))
    for visitor in stuck:
        visitor.close()


def test_a_slow_service_holds_up_nobody(shared, odd):
    """Uploads that the service does not read wait; others do not."""
    is_over = threading.Event()
    odd.begin(lambda peer: peer.socket.recv(1) and is_over.wait(20))
    try:
        stuck = raw_visitor.open_to(odd.url, shared.ca)
        stuck.ask("/", "POST", [("Content-Length", str(MIDDLE))])
        stuck.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for piece in pattern.blocks(MIDDLE):
                stuck.send(piece)
        curl_download(shared, 5 * MB)
        stuck.close()
    finally:
        is_over.set()
