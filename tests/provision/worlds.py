"""Small worlds for the steps: a wish from ten lines of spec, and hosts from fresh to settled.

`Host` plays a host's part in memory: it carries out file payloads for real and the few commands that matter by
their words, so that a test can ask what a second run would do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailserver_py.provision.change import Change
from mailserver_py.provision.release import Platform
from mailserver_py.provision.seen import BASE_PACKAGES, Account, Entry, Seen
from mailserver_py.provision.steps import MENU
from mailserver_py.provision.steps.shape import Step
from mailserver_py.provision.wish import Wish
from mailserver_py.spec.model import MailSpec
from mailserver_py.spec.settings import derive_settings
from mailserver_py.spec.verification import derive_verification

HOSTNAME = "mx1.example.org"
NOW_S = 1_800_000_000.0
SECRETS = {
    "passwords": b'{"alice@example.org": "$argon2id$canary"}',
    "dkim.r1.example.org": b"rsa canary",
    "tls-key": b"tls canary",
    "acme-account": b"account canary",
    "verify": b'{"password": "verify canary"}',
}


class FixedRelease:
    """A release whose digest a test chooses."""

    version = "1.2.3"

    def __init__(self, digest: str = "aaaaaaaa", account_schema: int = 4) -> None:
        self.digest = digest
        self.schema = {"site": 1, "account": account_schema}

    def id(self, platform: Platform) -> str:
        return f"{self.version}-{self.digest}-{platform.tag}"

    def archive(self, platform: Platform) -> Path:
        raise AssertionError("a plan must not build a release")


def make_spec(**changes: Any) -> MailSpec:
    plain: dict[str, Any] = {
        "domains": {"example.org": {}},
        "hosts": {HOSTNAME: {"ipv4": "192.0.2.10"}},
        "accounts": {"alice@example.org": {}},
    }
    return MailSpec.model_validate(plain | changes)


def make_wish(
    *,
    release: str = "aaaaaaaa",
    account_schema: int = 4,
    secrets: dict[str, bytes] | None = None,
    **changes: Any,
) -> Wish:
    spec = make_spec(**changes.pop("spec", {}))
    return Wish(
        site="example",
        hostname=HOSTNAME,
        host=spec.hosts[HOSTNAME],
        spec=spec,
        settings=derive_settings(spec, HOSTNAME, {}),
        verification=derive_verification("example", spec, {}),
        release=FixedRelease(release, account_schema),
        open_secrets=lambda: SECRETS if secrets is None else secrets,
        **changes,
    )


FRESH = Seen(
    os_id="debian",
    os_version="12",
    python=(3, 11),
    machine="x86_64",
    glibc="2.36",
    cpu_count=2,
    now_s=NOW_S,
    ssh_port=22,
    free_bytes={"/opt": 10**10, "/var/lib": 10**10, "/etc": 10**10},
    users={"root": Account(0, 0, "/root", "/bin/bash")},
    groups={"root": 0},
    packages=frozenset(BASE_PACKAGES),
)
"""A Debian 12 as a provider hands it over."""


class Host:
    """A host in memory."""

    def __init__(self, seen: Seen = FRESH) -> None:
        self.seen = seen
        self.scripts: list[str] = []
        self.clock_s = NOW_S

    def run(self, wish: Wish, *, kill_after: int = 10**6) -> list[Change]:
        """The whole menu, as a deploy does; dies after so many changes. Returns the changes made."""
        made: list[Change] = []
        for step in MENU:
            if isinstance(step, Step):
                for change in list(step.changes(wish, self.seen)):
                    if len(made) >= kill_after:
                        return made
                    self.make(change, wish)
                    made.append(change)
        return made

    def make(self, change: Change, wish: Wish) -> None:
        self.clock_s += 1
        self.scripts.append(change.script)
        if change.stdin:
            for item in json.loads(change.stdin):
                self._file(item)
        if change.upload is not None:
            name = re.search(r"install\.sh ([\w.-]+)$", change.script)
            assert name is not None
            folder = f"/opt/mailserver/releases/{name[1]}"
            self._entry(folder, "directory", 0o755)
            self._entry(f"{folder}/complete", "file", 0o644)
            schemas = {**self.seen.schemas, name[1]: wish.release.schema}
            self.seen = replace(self.seen, schemas=schemas)
        for user in re.findall(r"useradd .* (\S+)$", change.script):
            self.seen = replace(
                self.seen,
                users={**self.seen.users, user: Account(999, 999, "/nonexistent", "/usr/sbin/nologin")},
                groups={**self.seen.groups, user: 999},
            )
        for names in re.findall(r"apt-get .*? install ([\w -]+)", change.script)[:1]:
            self.seen = replace(self.seen, packages=self.seen.packages | set(names.split()))
        if "nft -c -f" in change.script:
            content = self.contents["/etc/mailserver/firewall.nft"].decode()
            comment = re.search(r'comment "\w+"', content)
            assert comment is not None
            self.seen = replace(self.seen, firewall=comment[0])
            self._unit("mailserver-firewall.service", ActiveState="active", UnitFileState="enabled")
        if "start mailserver-stand-in.service" in change.script:
            self.seen = replace(self.seen, certificate={"source": "stand-in"})
        self._systemctl(change.script)
        if "mailserver-cert.service ||" in change.script or "start mailserver-cert.service" in change.script:
            self.seen = replace(
                self.seen,
                certificate={
                    "source": wish.spec.tls.source,
                    "directory": wish.settings.acme_directory,
                    "key": hashlib.sha256(wish.secrets["tls-key"]).hexdigest(),
                    "chain": hashlib.sha256(wish.certificate_chain).hexdigest(),
                    "not_after": NOW_S + 10**7,
                },
            )

    def _systemctl(self, script: str) -> None:
        for names in re.findall(r"systemctl disable --quiet --now ([^;&|]+)", script):
            for name in names.split():
                self._unit(name, ActiveState="inactive", UnitFileState="disabled")
        for names in re.findall(r"systemctl enable --quiet ([^;&|]+)", script):
            for name in names.split():
                self._unit(name, UnitFileState="enabled")
        for names in re.findall(r"systemctl stop ([^;&|]+)", script):
            for name in names.split():
                self._unit(name, ActiveState="inactive", Stamp="")
        for names in re.findall(r"systemctl start ([^;&|2]+)", script):
            for name in names.split():
                self._unit(name, ActiveState="active")
        for names in re.findall(r"for unit in ([^;]+);", script):
            mark = self.contents["/etc/mailserver/stamp"].decode().strip().partition("=")[2]
            for name in names.split():
                self._unit(name, ActiveState="active", Stamp=mark)

    contents: dict[str, bytes]

    def _file(self, item: dict[str, Any]) -> None:
        self.contents = getattr(self, "contents", {})
        path, kind = item["path"], item["kind"]
        if kind == "absent":
            gone = {p: e for p, e in self.seen.entries.items() if p != path and not p.startswith(f"{path}/")}
            self.seen = replace(self.seen, entries=gone)
        elif kind == "link":
            self._entry(path, "link", 0o777, target=item["target"])
        else:
            content = base64.b64decode(item.get("content", ""))
            self.contents[path] = content
            self._entry(
                path,
                kind,
                item["mode"],
                digest=hashlib.sha256(content).hexdigest() if kind == "file" else "",
                uid=self.seen.users[item["owner"]].uid,
                gid=self.seen.groups[item["group"]],
            )

    def _entry(self, path: str, kind: Any, mode: int, *, uid: int = 0, gid: int = 0, **more: str) -> None:
        entry = Entry(kind, mode, uid, gid, self.clock_s, **more)
        self.seen = replace(self.seen, entries={**self.seen.entries, path: entry})

    def _unit(self, name: str, **properties: str) -> None:
        units = {key: dict(value) for key, value in self.seen.units.items()}
        units.setdefault(name, {"Id": name}).update(properties)
        self.seen = replace(self.seen, units=units)


def settled(wish: Wish) -> Host:
    """A host that `wish` was deployed to."""
    host = Host()
    host.run(wish)
    return host


def whats(changes: Iterator[Change] | list[Change]) -> list[str]:
    """All the lines of a plan."""
    return [line for change in changes for line in change.what]
