"""The store of a mail host, as commands on it find and open it: whose it is, as whom to touch it, with what rules."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ..errors import OperatorError, Reason, WorldError

if TYPE_CHECKING:
    from ..mailstore.embedded import EmbeddedStore

STATE = "/var/lib/mailserver"
"""Where a deployed host keeps its store."""

SETTINGS = "/etc/mailserver/settings.json"
RUNTIME = "/run/mailserver"

Command = TypeVar("Command", bound=Callable[..., object])


def state_option(command: Command) -> Command:
    """`--state`, for tries and tests."""
    kind = click.Path(path_type=Path)
    return click.option("--state", default=STATE, show_default=True, type=kind, help="The store's folder.")(
        command
    )


def settings_option(command: Command) -> Command:
    """`--settings`, likewise."""
    kind = click.Path(path_type=Path)
    return click.option(
        "--settings", default=SETTINGS, show_default=True, type=kind, help="The host's slice of the spec."
    )(command)


def find_owner(state: Path) -> tuple[int, int]:
    """User and group of the store. Raises OperatorError when there is none."""
    try:
        owner = (state / "site.db").stat()
    except OSError as error:
        reason = Reason(
            f"no store here: {error.strerror}", cure="name its folder with --state", file=str(state)
        )
        raise OperatorError(reason) from error
    return owner.st_uid, owner.st_gid


@contextmanager
def as_owner(state: Path) -> Iterator[None]:
    """Acts as the store's owner when root runs the command, so that nothing it makes locks the server out. Raises
    OperatorError."""
    owner_uid, owner_gid = find_owner(state)
    if os.geteuid() != 0 or owner_uid == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(owner_gid)
    os.seteuid(owner_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


@asynccontextmanager
async def opened(state: Path, runtime: Path | None = None) -> AsyncIterator[EmbeddedStore]:
    """The store, beside a running server; accounts keep the rules they have. With `runtime`, the server's processes
    hear of changes, so that clients that wait see them at once."""
    from ..imap.digest import derive
    from ..mailstore.embedded import EmbeddedStore
    from ..net.bus import Bus

    bus = None
    if runtime is not None:
        with suppress(WorldError):  # no server runs: nobody has to hear of it
            bus = Bus(runtime, f"command.{os.getpid()}", lambda *_: None)
    told = bus
    store = EmbeddedStore.open(
        state,
        announce=lambda changed: told.tell(changed.account, changed.mailbox_id) if told else None,
        digest=derive,
    )
    try:
        yield store
    finally:
        await store.close()
        if bus is not None:
            bus.close()


def no_account(name: str) -> OperatorError:
    """The store has no such account."""
    return OperatorError(
        Reason(f"the store has no account {name!r}", "name it by its primary address, as the spec does")
    )
