"""The commands of IMAP: RFC 9051 §6 and its extensions, one leaf each; this is the menu.

Invariants:
- a verb stands here once, and CAPABILITY is gathered from here: what is not on the menu is neither run nor announced;
- `parse` of a leaf is pure and consumes all it is given, `run` finds a whole and permitted request.

To add a command: a leaf with `COMMAND = Command(…)` (see `shape.py`), its name in MENU, a transcript in
`tests/transcripts/imap`, and a row in `rfcs`. A new FETCH item, SEARCH key, STATUS item or LIST option is no command
but a row in `items`, `keys`, `status_items` or `listing`.
"""

from __future__ import annotations

import re
from typing import Any

from ..cursor import Cursor
from ..replies import bad
from . import (
    append,
    authenticate,
    cancelupdate,
    capability,
    check,
    close,
    compress,
    copy,
    create,
    delete,
    enable,
    esearch,
    expunge,
    fetch,
    getquota,
    id,
    idle,
    list,
    login,
    logout,
    lsub,
    move,
    namespace,
    noop,
    rename,
    replace,
    search,
    select,
    sort,
    starttls,
    status,
    store,
    subscribe,
    thread,
    unauthenticate,
    unselect,
)
from .shape import Command

MENU: tuple[Command[Any], ...] = (
    capability.COMMAND,
    noop.COMMAND,
    logout.COMMAND,
    id.COMMAND,
    starttls.COMMAND,
    login.COMMAND,
    authenticate.COMMAND,
    enable.COMMAND,
    namespace.COMMAND,
    list.COMMAND,
    lsub.COMMAND,
    subscribe.SUBSCRIBE,
    subscribe.UNSUBSCRIBE,
    status.COMMAND,
    create.COMMAND,
    delete.COMMAND,
    rename.COMMAND,
    select.SELECT,
    select.EXAMINE,
    unselect.COMMAND,
    close.COMMAND,
    check.COMMAND,
    append.COMMAND,
    replace.COMMAND,
    expunge.COMMAND,
    search.COMMAND,
    sort.COMMAND,
    esearch.COMMAND,
    thread.COMMAND,
    cancelupdate.COMMAND,
    fetch.COMMAND,
    store.COMMAND,
    copy.COMMAND,
    move.COMMAND,
    idle.COMMAND,
    unauthenticate.COMMAND,
    compress.COMMAND,
    getquota.GETQUOTA,
    getquota.GETQUOTAROOT,
)
"""In the order of RFC 9051 §6, then extensions; CAPABILITY follows it."""

_BY_VERB = {command.verb: command for command in MENU}


def find(verb: bytes, *, uid: bool) -> Command[Any] | None:
    """The command of an upper-case verb, if it has the form asked for."""
    command = _BY_VERB.get(verb)
    return None if command is None or (uid and not command.uid_form) else command


TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]{1,128}(?= |\Z)")
_VERB = re.compile(rb"[A-Za-z0-9.-]{1,64}")


def read_command(data: bytes, *, utf8: bool) -> tuple[bytes, Command[Any], Cursor]:
    """Tag, command and the cursor behind its verb. Raises Refused."""
    tag = TAG.match(data)
    if tag is None or tag.end() == len(data):
        raise bad(b"A command is a tag, a space and a verb")
    uid = False
    verb = _VERB.match(data, tag.end() + 1)
    if verb is not None and verb[0].upper() == b"UID" and data[verb.end() : verb.end() + 1] == b" ":
        uid = True
        verb = _VERB.match(data, verb.end() + 1)
    if verb is None:
        raise bad(b"A command is a tag, a space and a verb")
    command = find(verb[0].upper(), uid=uid)
    if command is None:
        raise bad(b"There is no such command")
    return tag[0], command, Cursor(data, verb.end(), uid=uid, utf8=utf8)
