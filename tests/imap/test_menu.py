"""The menu of commands and what CAPABILITY makes of it (house law 5)."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

import pytest

from mailserver_py.imap import capabilities, commands
from mailserver_py.imap.commands import MENU
from mailserver_py.imap.commands.enable import ENABLABLE
from mailserver_py.imap.commands.shape import Command, State
from mailserver_py.imap.session import Session

from .memory_store import MemoryStore
from .transcript import PretendDoor

LEAVES = [module.name for module in pkgutil.iter_modules(commands.__path__) if module.name != "shape"]


@pytest.mark.parametrize("name", LEAVES)
def test_every_leaf_is_on_the_menu(name: str) -> None:
    leaf = importlib.import_module(f"{commands.__name__}.{name}")
    defined = [value for value in vars(leaf).values() if isinstance(value, Command)]
    assert defined
    assert all(command in MENU for command in defined)


def test_a_verb_stands_on_the_menu_once() -> None:
    verbs = [command.verb for command in MENU]
    assert len(set(verbs)) == len(verbs)
    assert all(verb == verb.upper() for verb in verbs)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_capabilities_depend_on_tls_and_login_only_as_they_must(tls: bool) -> None:
    before = set(capabilities.list_capabilities(State.NOT_AUTHENTICATED, tls=tls, message_bytes=1000))
    after = set(capabilities.list_capabilities(State.SELECTED, tls=tls, message_bytes=1000))
    assert before - after == ({b"AUTH=PLAIN", b"AUTH=LOGIN"} if tls else {b"STARTTLS", b"LOGINDISABLED"})
    assert after <= before


def test_what_can_be_enabled_is_announced() -> None:
    announced = {
        name.upper() for name in capabilities.list_capabilities(State.SELECTED, tls=True, message_bytes=1000)
    }
    assert set(ENABLABLE) <= announced


def test_every_command_without_arguments_is_answered_and_leaks_no_fault() -> None:
    async def play(command: Command[object], *, logged_in: bool) -> None:
        door = PretendDoor(MemoryStore())
        session = Session(door, tls=True)
        if logged_in:
            await session.receive(b"l LOGIN alice secret\r\ns SELECT INBOX\r\n")
            door.take()
        await session.receive(b"a %b\r\n" % command.verb)
        assert door.take() and not door.incidents

    for command in MENU:
        for logged_in in (False, True):
            asyncio.run(play(command, logged_in=logged_in))
