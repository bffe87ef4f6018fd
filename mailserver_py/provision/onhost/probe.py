"""Prints all that provisioning wants to know of a host, as one JSON object. Changes nothing.

`argv[1]` is JSON: `trees` (folders and files to list, with content digests below /etc), `packages` (names to look
up), `ports` (whose listeners to name), `tls` (folder of the host's certificate), `releases` and `state` (folders).
"""

from __future__ import annotations

import glob
import grp
import hashlib
import json
import os
import platform
import pwd
import re
import stat
import subprocess
import sys
import time
from typing import Any

SYSTEMCTL = "Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,MainPID,ConditionResult,Listen"
LOOPBACK_6 = "00000000000000000000000001000000"
MAPPED = "0000000000000000FFFF0000"
"""Before an IPv4 address in the tables of IPv6."""
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def run(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def entry(path: str) -> dict[str, Any]:
    status = os.lstat(path)
    found = {
        "kind": KINDS.get(stat.S_IFMT(status.st_mode), "other"),
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "at": status.st_mtime,
    }
    if found["kind"] == "file":
        found["digest"] = hashlib.sha256(read(path)).hexdigest()
    elif found["kind"] == "link":
        found["target"] = os.readlink(path)
    return found


def entries(trees: list[str]) -> dict[str, Any]:
    """Every path that matches, with what lies in folders two levels down; our own folders are small."""
    found = {}
    for pattern in trees:
        for path in glob.glob(pattern):
            try:
                found[path] = entry(path)
            except OSError:
                continue
    return found


def packages(names: list[str]) -> list[str]:
    lines = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names).splitlines()
    return [line.split()[0] for line in lines if line.endswith(" installed")]


def units() -> dict[str, dict[str, str]]:
    """Our units, loaded or only on the disk, and what the running ones were started with."""
    text = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "mailserver-*")
    names = {line.split()[0] for line in text.splitlines() if line.split()}
    for path in glob.glob("/etc/systemd/system/mailserver-*.*"):
        if "@." not in path and os.path.isfile(path):
            names.add(os.path.basename(path))
    for path in glob.glob("/etc/systemd/system/*.wants/mailserver-*"):
        names.add(os.path.basename(path))
    found = {}
    if names:
        for block in run("systemctl", "show", "-p", SYSTEMCTL, *sorted(names)).split("\n\n"):
            rows = dict(line.split("=", 1) for line in block.strip().splitlines() if "=" in line)
            for word in read(f"/proc/{rows.get('MainPID', '0')}/environ").split(b"\0"):
                if word.startswith(b"MAILSERVER_STAMP="):
                    rows["Stamp"] = word.split(b"=", 1)[1].decode()
            found[rows.get("Id", "")] = rows
    return found


def is_loopback(address: str) -> bool:
    """Of a table of the kernel's: words of four octets in the machine's order, which is little-endian here."""
    if address.startswith(MAPPED):
        address = address[len(MAPPED) :]
    return address == LOOPBACK_6 or (len(address) == 8 and address.endswith("7F"))


def sockets() -> list[tuple[str, str, int, bool]]:
    """What waits for others: the link in /proc/<pid>/fd, protocol, port, and whether it is more than the loopback's."""
    found = []
    for protocol, waits in (("tcp", "0A"), ("udp", "07")):
        for table in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
            for line in read(table).decode().splitlines()[1:]:
                words = line.split()
                address, port = words[1].rsplit(":", 1)
                if words[3] == waits:
                    link = f"socket:[{words[9]}]"
                    found.append((link, protocol, int(port, 16), not is_loopback(address)))
    return found


def listeners() -> list[dict[str, Any]]:
    """Who listens, on every port: process, pid, and its control group (which names the unit)."""
    waiting = sockets()
    holders: dict[str, list[dict[str, Any]]] = {link: [] for link, *_ in waiting}
    for pid in [name for name in os.listdir("/proc") if name.isdigit()] if waiting else []:
        try:
            held = {os.readlink(link) for link in glob.glob(f"/proc/{pid}/fd/*")}
        except OSError:
            continue
        for link in held & set(holders):
            name = read(f"/proc/{pid}/comm").decode().strip()
            group = read(f"/proc/{pid}/cgroup").decode().strip().rsplit("/", 1)[-1]
            holders[link].append({"pid": int(pid), "process": name, "unit": group})
    kernel = {"pid": 0, "process": "the kernel", "unit": ""}  # WireGuard, NFS
    return [
        {"protocol": protocol, "port": port, "public": public, **holder}
        for link, protocol, port, public in waiting
        for holder in holders[link] or [kernel]
    ]


def ssh_port() -> int:
    """The port of this machine that the operator's connection came in on; sudo hides it, the parents tell."""
    pid = os.getpid()
    for _ in range(12):
        for word in read(f"/proc/{pid}/environ").split(b"\0"):
            if word.startswith(b"SSH_CONNECTION="):
                return int(word.split()[-1])
        try:
            pid = int(read(f"/proc/{pid}/stat").decode().rsplit(")", 1)[1].split()[1])
        except (IndexError, ValueError):
            break
        if pid <= 1:
            break
    return 0


def free_bytes(path: str) -> int:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def schemas(releases: str) -> dict[str, dict[str, int]]:
    """By release: the newest forms of the databases that it knows. Releases that say nothing of it are read."""
    found = {}
    for folder in glob.glob(f"{releases}/*"):
        try:
            known = {
                key: int(value) for key, value in json.loads(read(f"{folder}/about.json"))["schema"].items()
            }
        except (ValueError, TypeError, KeyError, AttributeError):
            text = b"".join(
                read(path)
                for path in glob.glob(
                    f"{folder}/lib/python3*/site-packages/mailserver_py/mailstore/embedded/schema.py"
                )
            ).decode("utf-8", "replace")
            rows = re.findall(r"^(SITE|ACCOUNT)_VERSION = (\d+)$", text, re.MULTILINE)
            known = {name.lower(): int(number) for name, number in rows}
        found[os.path.basename(folder)] = known
    return found


def stored(state: str) -> dict[str, int]:
    """The newest forms among the store's databases, from their headers (`user_version`): opening them would write.
    What lies in a log only is not seen; a running release answers for that."""
    found: dict[str, int] = {}
    for name, pattern in (("site", "site.db"), ("account", "accounts/*/index.db")):
        for path in glob.iglob(f"{state}/{pattern}"):
            try:
                with open(path, "rb") as file:
                    head = file.read(64)
            except OSError:
                continue
            if len(head) == 64:
                found[name] = max(found.get(name, 0), int.from_bytes(head[60:64], "big"))
    return found


def certificate(folder: str) -> dict[str, Any]:
    try:
        about = json.loads(read(os.path.join(folder, "current", "about.json")) or b"{}")
    except ValueError:
        about = {}
    return about if isinstance(about, dict) else {}


def main() -> None:
    asked = json.loads(sys.argv[1])
    asked_ports = set(asked["ports"])
    held = listeners()
    release = dict(
        line.split("=", 1) for line in read("/etc/os-release").decode().splitlines() if "=" in line
    )
    table = run("nft", "list", "table", "inet", "mailserver")
    print(
        json.dumps(
            {
                "uid": os.geteuid(),
                "os_id": release.get("ID", "").strip('"'),
                "os_version": release.get("VERSION_ID", "").strip('"'),
                "systemd": os.path.isdir("/run/systemd/system"),
                "python": list(sys.version_info[:2]),
                "machine": platform.machine(),
                "glibc": platform.libc_ver()[1],
                "cpu_count": os.cpu_count() or 1,
                "now_s": time.time(),
                "ssh_port": ssh_port(),
                "free_bytes": {path: free_bytes(path) for path in ("/opt", "/var/lib", "/etc")},
                "entries": entries(asked["trees"]),
                "users": {u.pw_name: [u.pw_uid, u.pw_gid, u.pw_dir, u.pw_shell] for u in pwd.getpwall()},
                "groups": {g.gr_name: g.gr_gid for g in grp.getgrall()},
                "packages": packages(asked["packages"]),
                "units": units(),
                "listeners": [row for row in held if row["protocol"] == "tcp" and row["port"] in asked_ports],
                "public": [row for row in held if row["public"]],
                "firewall": [line.strip() for line in table.splitlines() if "comment" in line][:1],
                "certificate": certificate(asked["tls"]),
                "schemas": schemas(asked["releases"]),
                "stored": stored(asked["state"]),
            }
        )
    )


main()
