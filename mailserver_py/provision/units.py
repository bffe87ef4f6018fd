"""The systemd units of a host, by name: which it shall have, and their texts."""

from __future__ import annotations

import hashlib
import json

from mailserver_py.spec.settings import LOG_NAMESPACE

from .seen import Seen
from .texts import render_text
from .wish import CREDENTIALS, CURRENT, RUNTIME, SETTINGS, STATE, TLS, Wish

FIREWALL = "mailserver-firewall.service"
WORKER = "mailserver-worker@.service"
QUEUE = "mailserver-queue.service"
STAND_IN = "mailserver-stand-in.service"
CERT, CERT_TIMER = "mailserver-cert.service", "mailserver-cert.timer"
VERIFY, VERIFY_TIMER = "mailserver-verify.service", "mailserver-verify.timer"

FIREWALL_RULES = f"{SETTINGS}/firewall.nft"
STAMP = f"{SETTINGS}/stamp"
RELOAD = "systemctl daemon-reload"
JOURNAL = f"journalctl --namespace=+{LOG_NAMESPACE} --no-pager -o cat"
"""What our units said, and what systemd said of them."""

SPARE_FILES_COUNT = 4_096
"""Open files of a worker beside its connections: databases, letters, sockets of the bus."""

WRITABLE = {
    WORKER: f"{STATE} {RUNTIME}",
    QUEUE: f"{STATE} {RUNTIME}",
    STAND_IN: TLS,
    CERT: f"{TLS} {RUNTIME}/acme",
    VERIFY: f"{STATE}/verify",
}


def workers(wish: Wish, seen: Seen) -> tuple[str, ...]:
    """The worker units of a host: as many as the spec says, else one per core."""
    count = wish.host.workers or seen.cpu_count
    return tuple(f"mailserver-worker@{number}.service" for number in range(1, count + 1))


def timers(wish: Wish) -> tuple[str, ...]:
    """The timers that the wish asks for."""
    return (CERT_TIMER, *((VERIFY_TIMER,) if wish.spec.verification.every else ()))


def credentials(unit: str, wish: Wish) -> tuple[str, ...]:
    """The names of the secrets that a unit is given: what it needs and no more."""
    if unit in (WORKER, QUEUE):
        return tuple(name for name in wish.secrets if name == "passwords" or name.startswith("dkim."))
    wanted = {STAND_IN: {"tls-key"}, CERT: {"tls-key", "acme-account"}, VERIFY: {"verify"}}.get(unit, set())
    return tuple(name for name in wish.secrets if name in wanted)


def unit_files(wish: Wish) -> dict[str, bytes]:
    """File name in /etc/systemd/system → text, without the firewall's, which has its own step."""
    names = [WORKER, QUEUE, STAND_IN, CERT, CERT_TIMER]
    if wish.spec.verification.every:
        names += [VERIFY, VERIFY_TIMER]
    files = {name: unit_text(name, wish) for name in names}
    for door in wish.doors:
        files[door.unit] = render_text("etc/systemd/system/mailserver-listener.socket", door=door)
    return files


def unit_text(name: str, wish: Wish) -> bytes:
    """One unit file."""
    return render_text(
        f"etc/systemd/system/{name}",
        mailserver=f"{CURRENT}/bin/mailserver",
        settings=f"{SETTINGS}/settings.json",
        state=STATE,
        tls=TLS,
        tls_folder=wish.tls_folder,
        runtime=RUNTIME,
        stamp=STAMP,
        rules=FIREWALL_RULES,
        credstore=CREDENTIALS,
        user=wish.host.os_user,
        log_namespace=LOG_NAMESPACE,
        writable=WRITABLE.get(name, ""),
        doors=wish.doors,
        credentials=credentials(name, wish),
        open_files=wish.spec.limits.connections + SPARE_FILES_COUNT,
        every_s=int(wish.spec.verification.every or 0),
    )


def stamp(wish: Wish, release: str) -> str:
    """A digest of all that a running process was started with: release, settings, secrets, units.

    systemd puts it into the process's environment, where the next deploy reads it. So the question whether to
    restart is answered by the process itself, and a deploy that died half-way is no different from any other.
    """
    parts = [release, wish.settings_file.decode()]
    parts += [wish.secrets[name].hex() for name in credentials(WORKER, wish)]
    parts += [text.decode() for name, text in sorted(unit_files(wish).items()) if concerns_processes(name)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def concerns_processes(unit: str) -> bool:
    """Whether a running process must be started anew to notice that its unit changed."""
    return unit in (WORKER, QUEUE) or unit.endswith(".socket")
