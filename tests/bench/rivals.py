"""The other tunnels, each as its users run it over the internet.

A rival is two programs: one that opens a port for haproxy to send to, one
that stands beside the service. Everything they need is made in a folder of
the run: keys, tokens, settings. README.md says how each is configured.
"""

import collections
import os
import pwd
import re
import shutil
import subprocess

import children
import tunnel

CACHE = os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
    "sallyport", "peers")
CIPHER = os.path.join(tunnel.ROOT, "build", "release", "tests", "bench",
                      "libbench_cipher.so")
START_S = 20.0
TOKEN = "0123456789abcdef0123456789abcdef"
PROGRAMS = {"frp": ("frps", "frpc"), "rathole": ("rathole",),
            "chisel": ("chisel",)}
ORDER = ("ssh", "frp", "rathole", "chisel")

# Of every rival: the port that haproxy sends to, and its programs' ids.
Rival = collections.namedtuple("Rival", "port pids")
# What all get: a folder, the service's port, the certificate all use.
Place = collections.namedtuple("Place", "folder service cert key name")


class Absent(Exception):
    """It is not here: why."""


def listens(port):
    """Whether someone listens on a port of this network namespace."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        if any(f":{port:04X} 00000000:0000 0A" in line for line in table):
            return True
    with open("/proc/net/tcp6", encoding="ascii") as table:
        return any(f":{port:04X} 0000" in line and " 0A " in line
                   for line in table)


def start(name, argv, folder, port=None, env=None):
    """A child, once someone listens on |port|."""
    child = children.Child(name, argv, folder, env=env)
    if port:
        child.wait_for("open port", lambda: listens(port), START_S)
    return child


def write(folder, name, lines):
    """A settings file; its path."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    return path


def find(name, given):
    """The programs of a rival, from --peer or the cache."""
    wanted = PROGRAMS[name]
    if name in given:
        folder = given[name]
        if not os.path.isdir(folder):
            folder = os.path.dirname(os.path.abspath(folder))
        folders = [folder]
    else:
        folders = sorted(
            os.path.join(CACHE, entry)
            for entry in (os.listdir(CACHE) if os.path.isdir(CACHE) else ())
            if entry.startswith(name + "-"))
    for folder in reversed(folders):
        paths = [os.path.join(folder, program) for program in wanted]
        if all(os.access(path, os.X_OK) for path in paths):
            return paths
    raise Absent(f"no {' and '.join(wanted)}: build with tests/bench/peers, "
                 f"or --peer {name}=FOLDER")


def version(name, given):
    """What a rival says of itself."""
    if name == "ssh":
        said = subprocess.run(["ssh", "-V"], capture_output=True, text=True,
                              check=False, timeout=START_S)
        return said.stderr.strip()
    path = find(name, given)[0]
    words = {"frp": ["-v"], "rathole": ["--version"],
             "chisel": ["--version"]}[name]
    said = subprocess.run([path, *words], capture_output=True, text=True,
                          check=False, timeout=START_S).stdout
    number = re.search(r"\d+\.\d+\.\d+(?!-src)", said)
    # Built from the module proxy it does not know; the folder does.
    in_folder = re.search(r"-([\d.]+)$", os.path.dirname(path))
    return f"{name} " + (number.group(0) if number else
                         in_folder.group(1) if in_folder else "?")


def unprivileged(folder):
    """Who sshd and ssh run as: the words before them, and his name."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid()).pw_name
    # Not nobody, whose account systemd calls locked: sshd would refuse him.
    user = pwd.getpwnam("daemon")
    for entry in os.listdir(folder):
        os.chown(os.path.join(folder, entry), user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
            "--clear-groups"], user.pw_name


def start_ssh(place, _given):
    """sshd and `ssh -R` with keys of their own, both unprivileged."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if not sshd or not shutil.which("ssh"):
        raise Absent("no sshd and ssh here (tests/bench/deps)")
    folder = os.path.join(place.folder, "ssh")
    os.makedirs(folder)
    port, behind = children.free_port(), children.free_port()
    for key in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
             os.path.join(folder, key)], check=True, timeout=START_S)
    config = write(folder, "sshd_config", [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host",
        "PidFile none", "UsePAM no", "StrictModes no",
        f"AuthorizedKeysFile {folder}/user.pub", "PasswordAuthentication no"])
    words, user = unprivileged(folder)
    daemon = start("sshd", [*words, sshd, "-D", "-e", "-f", config],
                   place.folder, port)
    client = start("ssh", [
        *words, "ssh", "-F", "none", "-N", "-p", str(port), "-l", user,
        "-i", f"{folder}/user", "-c", "aes128-gcm@openssh.com",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "ExitOnForwardFailure=yes",
        "-R", f"127.0.0.1:{behind}:127.0.0.1:{place.service}", "127.0.0.1"],
        place.folder, behind)
    pids = {"ssh": client.process.pid}
    for i, pid in enumerate(sorted(children.descendants(daemon.process.pid))):
        pids["sshd" if i == 0 else f"sshd {i}"] = pid
    return Rival(behind, pids)


def start_frp(place, given):
    """frps and frpc, type tcp, TLS verified, tcpMux: frp's defaults."""
    frps, frpc = find("frp", given)
    port, behind = children.free_port(), children.free_port()
    server = write(place.folder, "frps.toml", [
        'bindAddr = "127.0.0.1"', f"bindPort = {port}",
        'proxyBindAddr = "127.0.0.1"', 'log.level = "warn"',
        f'auth.token = "{TOKEN}"', "transport.tls.force = true",
        f'transport.tls.certFile = "{place.cert}"',
        f'transport.tls.keyFile = "{place.key}"'])
    client = write(place.folder, "frpc.toml", [
        'serverAddr = "127.0.0.1"', f"serverPort = {port}",
        'log.level = "warn"', f'auth.token = "{TOKEN}"',
        f'transport.tls.trustedCaFile = "{place.cert}"',
        f'transport.tls.serverName = "{place.name}"',
        "[[proxies]]", 'name = "bench"', 'type = "tcp"',
        'localIP = "127.0.0.1"', f"localPort = {place.service}",
        f"remotePort = {behind}"])
    near = start("frps", [frps, "-c", server], place.folder, port)
    far = start("frpc", [frpc, "-c", client], place.folder, behind)
    return Rival(behind, {"frps": near.process.pid, "frpc": far.process.pid})


def tell_cipher(name, port):
    """Say so when it is not the one that all others have."""
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=START_S).stdout
    found = re.search(r"Cipher is (\S+)", said)
    if not found or "AES128-GCM" not in found.group(1):
        print(f"{name} has another cipher: "
              f"{found.group(1) if found else 'unknown'}", flush=True)


def start_rathole(place, given):
    """rathole with its TLS; its OpenSSL is told which cipher."""
    program = find("rathole", given)[0]
    port, behind = children.free_port(), children.free_port()
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-in", place.cert, "-inkey",
         place.key, "-out", f"{place.folder}/rathole.p12", "-passout",
         "pass:bench"], check=True, capture_output=True, timeout=START_S)
    common = [f'default_token = "{TOKEN}"']
    server = write(place.folder, "rathole-server.toml", [
        "[server]", f'bind_addr = "127.0.0.1:{port}"', *common,
        "[server.transport]", 'type = "tls"', "[server.transport.tcp]",
        "nodelay = true", "[server.transport.tls]",
        f'pkcs12 = "{place.folder}/rathole.p12"', 'pkcs12_password = "bench"',
        "[server.services.bench]", f'bind_addr = "127.0.0.1:{behind}"'])
    client = write(place.folder, "rathole-client.toml", [
        "[client]", f'remote_addr = "127.0.0.1:{port}"', *common,
        "[client.transport]", 'type = "tls"', "[client.transport.tcp]",
        "nodelay = true", "[client.transport.tls]",
        f'trusted_root = "{place.cert}"', f'hostname = "{place.name}"',
        "[client.services.bench]",
        f'local_addr = "127.0.0.1:{place.service}"'])
    env = dict(os.environ, LD_PRELOAD=CIPHER, RUST_LOG="warn")
    near = start("rathole-server", [program, "--server", server],
                 place.folder, port, env)
    far = start("rathole-client", [program, "--client", client],
                place.folder, behind, env)
    tell_cipher("rathole", port)
    return Rival(behind, {"rathole-server": near.process.pid,
                          "rathole-client": far.process.pid})


def start_chisel(place, given):
    """chisel, a reverse tunnel by its SSH, the server's key checked."""
    program = find("chisel", given)[0]
    port, behind = children.free_port(), children.free_port()
    folder = place.folder
    near = start("chisel-server", [
        program, "server", "--host", "127.0.0.1", "--port", str(port),
        "--reverse", "--auth", f"bench:{TOKEN}"], folder, port)
    print_of = near.wait_for(
        "fingerprint",
        lambda: re.search(r"Fingerprint (\S+)",
                          near.output() + near.errors()), START_S).group(1)
    far = start("chisel-client", [
        program, "client", "--auth", f"bench:{TOKEN}", "--fingerprint",
        print_of, f"http://127.0.0.1:{port}",
        f"R:127.0.0.1:{behind}:127.0.0.1:{place.service}"], folder, behind)
    return Rival(behind, {"chisel-server": near.process.pid,
                          "chisel-client": far.process.pid})


START = {"ssh": start_ssh, "frp": start_frp, "rathole": start_rathole,
         "chisel": start_chisel}
