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

# Of every rival: the ports that haproxy sends to, by name, and its programs'
# ids.
Rival = collections.namedtuple("Rival", "ports pids")
# What all get: a folder, the services' ports by name, the certificate all use;
# the address at which the two meet, and the words that start a program beside
# the services when they are in another network.
Place = collections.namedtuple("Place", "folder services cert key name at near",
                               defaults=("127.0.0.1", ()))


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


def start(name, argv, folder, ports, env=None):
    """A child, once someone listens on each of |ports|."""
    child = children.Child(name, argv, folder, env=env)
    child.wait_for("open port", lambda: all(map(listens, ports)), START_S)
    return child


def write(folder, name, lines):
    """A settings file; its path."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
    return path


def given(words, names, on_error):
    """--peer NAME=PATH for some names, as a map; on_error(what is wrong)."""
    found = dict(word.split("=", 1) for word in words if "=" in word)
    if len(found) != len(words) or set(found) - set(names):
        on_error("--peer NAME=PATH, NAME is " + ", ".join(names))
    return found


def behind_of(place):
    """A port for each service, for haproxy to send to."""
    return {name: children.free_port() for name in place.services}


def find(name, paths):
    """The programs of a rival, from --peer or the cache."""
    wanted = PROGRAMS[name]
    if name in paths:
        folder = paths[name]
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


def version(name, paths):
    """What a rival says of itself."""
    if name == "ssh":
        said = subprocess.run(["ssh", "-V"], capture_output=True, text=True,
                              check=False, timeout=START_S)
        return said.stderr.strip()
    path = find(name, paths)[0]
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


def start_ssh(place, _paths):
    """sshd and `ssh -R` with keys of their own, both unprivileged."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if not sshd or not shutil.which("ssh"):
        raise Absent("no sshd and ssh here (tests/bench/deps)")
    folder = os.path.join(place.folder, "ssh")
    os.makedirs(folder)
    port, behind = children.free_port(), behind_of(place)
    for key in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
             os.path.join(folder, key)], check=True, timeout=START_S)
    config = write(folder, "sshd_config", [
        f"Port {port}", f"ListenAddress {place.at}", f"HostKey {folder}/host",
        "PidFile none", "UsePAM no", "StrictModes no",
        f"AuthorizedKeysFile {folder}/user.pub", "PasswordAuthentication no"])
    words, user = unprivileged(folder)
    daemon = start("sshd", [*words, sshd, "-D", "-e", "-f", config],
                   place.folder, [port])
    ways = [word for name, to in place.services.items()
            for word in ("-R", f"127.0.0.1:{behind[name]}:127.0.0.1:{to}")]
    client = start("ssh", [
        *place.near, *words, "ssh", "-F", "none", "-N", "-p", str(port),
        "-l", user, "-i", f"{folder}/user", "-c", "aes128-gcm@openssh.com",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "ExitOnForwardFailure=yes", *ways, place.at],
        place.folder, behind.values())
    pids = {"ssh": client.process.pid}
    for i, pid in enumerate(sorted(children.descendants(daemon.process.pid))):
        pids["sshd" if i == 0 else f"sshd {i}"] = pid
    return Rival(behind, pids)


def start_frp(place, paths):
    """frps and frpc, type tcp, TLS verified, tcpMux: frp's defaults."""
    frps, frpc = find("frp", paths)
    port, behind = children.free_port(), behind_of(place)
    server = write(place.folder, "frps.toml", [
        f'bindAddr = "{place.at}"', f"bindPort = {port}",
        'proxyBindAddr = "127.0.0.1"', 'log.level = "warn"',
        f'auth.token = "{TOKEN}"', "transport.tls.force = true",
        f'transport.tls.certFile = "{place.cert}"',
        f'transport.tls.keyFile = "{place.key}"'])
    client = write(place.folder, "frpc.toml", [
        f'serverAddr = "{place.at}"', f"serverPort = {port}",
        'log.level = "warn"', f'auth.token = "{TOKEN}"',
        f'transport.tls.trustedCaFile = "{place.cert}"',
        f'transport.tls.serverName = "{place.name}"',
        *(line for name, to in place.services.items() for line in (
            "[[proxies]]", f'name = "{name}"', 'type = "tcp"',
            'localIP = "127.0.0.1"', f"localPort = {to}",
            f"remotePort = {behind[name]}"))])
    far = start("frps", [frps, "-c", server], place.folder, [port])
    near = start("frpc", [*place.near, frpc, "-c", client], place.folder,
                 behind.values())
    return Rival(behind, {"frps": far.process.pid, "frpc": near.process.pid})


def tell_cipher(name, at, port):
    """Say so when it is not the one that all others have."""
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"{at}:{port}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=START_S).stdout
    found = re.search(r"Cipher is (\S+)", said)
    if not found or "AES128-GCM" not in found.group(1):
        print(f"{name} has another cipher: "
              f"{found.group(1) if found else 'unknown'}", flush=True)


def start_rathole(place, paths):
    """rathole with its TLS; its OpenSSL is told which cipher."""
    program = find("rathole", paths)[0]
    port, behind = children.free_port(), behind_of(place)
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-in", place.cert, "-inkey",
         place.key, "-out", f"{place.folder}/rathole.p12", "-passout",
         "pass:bench"], check=True, capture_output=True, timeout=START_S)
    common = [f'default_token = "{TOKEN}"']
    server = write(place.folder, "rathole-server.toml", [
        "[server]", f'bind_addr = "{place.at}:{port}"', *common,
        "[server.transport]", 'type = "tls"', "[server.transport.tcp]",
        "nodelay = true", "[server.transport.tls]",
        f'pkcs12 = "{place.folder}/rathole.p12"', 'pkcs12_password = "bench"',
        *(line for name, to in behind.items() for line in (
            f"[server.services.{name}]", f'bind_addr = "127.0.0.1:{to}"'))])
    client = write(place.folder, "rathole-client.toml", [
        "[client]", f'remote_addr = "{place.at}:{port}"', *common,
        "[client.transport]", 'type = "tls"', "[client.transport.tcp]",
        "nodelay = true", "[client.transport.tls]",
        f'trusted_root = "{place.cert}"', f'hostname = "{place.name}"',
        *(line for name, to in place.services.items() for line in (
            f"[client.services.{name}]", f'local_addr = "127.0.0.1:{to}"'))])
    env = dict(os.environ, LD_PRELOAD=CIPHER, RUST_LOG="warn")
    far = start("rathole-server", [program, "--server", server],
                place.folder, [port], env)
    near = start("rathole-client", [*place.near, program, "--client", client],
                 place.folder, behind.values(), env)
    tell_cipher("rathole", place.at, port)
    return Rival(behind, {"rathole-server": far.process.pid,
                          "rathole-client": near.process.pid})


def start_chisel(place, paths):
    """chisel, a reverse tunnel by its SSH, the server's key checked."""
    program = find("chisel", paths)[0]
    port, behind = children.free_port(), behind_of(place)
    folder = place.folder
    far = start("chisel-server", [
        program, "server", "--host", place.at, "--port", str(port),
        "--reverse", "--auth", f"bench:{TOKEN}"], folder, [port])
    print_of = far.wait_for(
        "fingerprint",
        lambda: re.search(r"Fingerprint (\S+)",
                          far.output() + far.errors()), START_S).group(1)
    near = start("chisel-client", [
        *place.near, program, "client", "--auth", f"bench:{TOKEN}",
        "--fingerprint", print_of, f"http://{place.at}:{port}",
        *(f"R:127.0.0.1:{behind[name]}:127.0.0.1:{to}"
          for name, to in place.services.items())], folder, behind.values())
    return Rival(behind, {"chisel-server": far.process.pid,
                          "chisel-client": near.process.pid})


START = {"ssh": start_ssh, "frp": start_frp, "rathole": start_rathole,
         "chisel": start_chisel}
