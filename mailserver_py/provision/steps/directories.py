"""The folders: the store and the certificates for the server's user, the secrets for root alone.

What lies in `/run` is declared to systemd-tmpfiles too, for the next boot. How long the journal keeps what the
server says (`retention.logs`) is declared here as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailserver_py.spec.settings import LOG_NAMESPACE

from ..filesystem import Absent, Directory, File, difference
from ..seen import Seen
from ..texts import render_text
from ..wish import CREDENTIALS, RELEASES, RUNTIME, SETTINGS, STATE, TLS, Wish
from .shape import Change, Step


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    user = wish.host.os_user
    yield from difference(
        [
            Directory(SETTINGS),
            Directory("/etc/credstore", 0o700),
            Directory(CREDENTIALS, 0o700),
            Directory("/opt/mailserver"),
            Directory(RELEASES),
            Directory(STATE, 0o700, user, user),
            Directory(f"{STATE}/verify", 0o700, user, user),
            Directory(TLS, 0o750, user, user),
            File(
                "/etc/tmpfiles.d/mailserver.conf",
                render_text("etc/tmpfiles.d/mailserver.conf", runtime=RUNTIME, user=user),
            ),
            Directory(RUNTIME, 0o750, user, user),
            Directory(f"{RUNTIME}/acme", 0o750, user, user),
        ],
        seen,
    )
    journal = f"etc/systemd/journald@{LOG_NAMESPACE}.conf"
    # It runs only while somebody says something, and reads its file when it starts.
    yield from difference(
        [File(f"/{journal}", render_text(journal, retention_s=int(wish.spec.retention.logs)))],
        seen,
        then=f"systemctl try-restart systemd-journald@{LOG_NAMESPACE}.service",
    )
    # Earlier releases set the retention of the whole host's journal.
    yield from difference(
        [Absent("/etc/systemd/journald.conf.d/mailserver.conf")],
        seen,
        then="systemctl restart systemd-journald.service",
    )


STEP = Step("directories", changes)
