"""The unprivileged system user that everything of ours runs as: no password, no shell, no home."""

from __future__ import annotations

from collections.abc import Iterator

from ..seen import Seen
from ..wish import Wish
from .shape import Change, Step

NO_SHELL = "/usr/sbin/nologin"
NO_HOME = "/nonexistent"


def changes(wish: Wish, seen: Seen) -> Iterator[Change]:
    name = wish.host.os_user
    account = seen.users.get(name)
    if account is None:
        group = "" if name in seen.groups else f"groupadd --system {name} && "
        yield Change(
            what=(f"user {name}: missing",),
            script=f"{group}useradd --system --no-create-home --home-dir {NO_HOME}"
            f" --shell {NO_SHELL} --gid {name} {name}",
        )


STEP = Step("system user", changes)
