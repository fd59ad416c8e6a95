"""What the figures were measured on, and with which versions."""

import os
import platform
import re
import shutil
import subprocess
import time

import namespace
import rivals
import targets


def said(*words):
    """The first line of what a program prints, or "?"."""
    try:
        done = subprocess.run(words, capture_output=True, text=True,
                              check=False, timeout=20, cwd=targets.tunnel.ROOT)
    except OSError:
        return "?"
    return (done.stdout + done.stderr).strip().split("\n")[0] or "?"


def processor():
    """Its name."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        found = re.search(r"model name\s*: (.*)", info.read())
    return found.group(1).strip() if found else platform.machine()


def system():
    """The distribution."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "?"


def boringssl():
    """The version of the crate whose sources are built."""
    path = os.path.join(targets.tunnel.ROOT, "deploy/boringssl/Cargo.toml")
    with open(path, encoding="utf-8") as source:
        found = re.search(r'boring-sys = "=?([\d.]+)"', source.read())
    return found.group(1) if found else "?"


def load_average():
    """How many wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)


def describe(compiler, names, given):
    """All of it, in the order to be read."""
    haproxy = targets.haproxy_program()
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "commit": said("git", "describe", "--always", "--dirty",
                       "--abbrev=12"),
        "cpu": processor(), "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "system": system(), "compiler": compiler,
        "congestion control": ("cubic for all" if namespace.is_inside()
                               else "the system's"),
        "cipher, key exchange, certificate":
            "TLS_AES_128_GCM_SHA256, X25519, ECDSA P-256",
        "boring-sys, libuv":
            f"{boringssl()}, {said('pkg-config', '--modversion', 'libuv')}",
        "haproxy": said(haproxy, "-v") if haproxy else "not here",
    }
    for name in names:
        try:
            if name != "ssh" or shutil.which("ssh"):
                found[name] = rivals.version(name, given)
        except (rivals.Absent, OSError, subprocess.SubprocessError):
            found[name] = "not here"
    if targets.BEFORE in given:
        found[targets.BEFORE] = said(os.path.join(
            given[targets.BEFORE], "sallyport"), "version")
    found["load average before"] = load_average()
    return found
