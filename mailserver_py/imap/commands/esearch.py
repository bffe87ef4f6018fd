"""ESEARCH: RFC 7377 (MULTISEARCH). One search in many mailboxes; each that has matches answers with their UIDs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...mailstore.values import NoSuchMailbox
from ..cursor import Cursor
from ..filters import Filter, parse_filter
from ..keys import parse_program
from ..names import serialize_mailbox
from ..program import search
from ..progress import Progress
from ..replies import Refused, Reply, bad, ok
from ..results import DEFAULT, Returns, parse_returns, serialize_esearch
from ..selected import Selected
from .search import check_tag, follow
from .shape import LOGGED_IN, Command, Updates

if TYPE_CHECKING:
    from ..session import Session

SELECTED = Filter(b"SELECTED")


@dataclass(frozen=True, slots=True)
class Esearch:
    """Where to search, what to return, and a program that is still text."""

    sources: tuple[Filter, ...]
    returns: Returns
    program: Cursor


def parse(cursor: Cursor) -> Esearch:
    """`[IN (filters)] [RETURN (options)] program`."""
    cursor.space()
    sources: list[Filter] = []
    if cursor.data[cursor.position : cursor.position + 3].upper() == b"IN ":
        cursor.position += 3
        sources = cursor.items(lambda: parse_filter(cursor), empty=False)
        cursor.space()
    if any(source.kind == b"SELECTED-DELAYED" for source in sources):
        raise bad(b"That filter is NOTIFY's alone")
    returns = parse_returns(cursor) or DEFAULT
    start = cursor.position
    try:
        parse_program(cursor, 0)
    except Refused as refused:
        if refused.reply.status != b"NO":
            raise
    cursor.position = start
    if returns.saves and any(source.kind != b"SELECTED" for source in sources):
        raise bad(b"Only a result in the selected mailbox can be saved")
    return Esearch(tuple(sources) or (SELECTED,), returns, cursor)


async def _boxes(session: Session, sources: tuple[Filter, ...]) -> AsyncIterator[Selected]:
    """The mailboxes, each once: the selected one as the client sees it, others as they are."""
    account, selected = session.owner(), session.selected
    subscriptions = frozenset(await account.list_subscriptions())
    wants_selected = SELECTED in sources
    for mailbox in await account.list_mailboxes():
        is_selected = selected is not None and selected.mailbox.mailbox_id == mailbox.mailbox_id
        if is_selected and selected is not None:
            if wants_selected or any(source.matches(mailbox.name, subscriptions) for source in sources):
                yield selected
        elif any(source.matches(mailbox.name, subscriptions) for source in sources):
            try:
                yield await Selected.open(account, mailbox.name, read_only=True)
            except NoSuchMailbox:
                continue  # deleted since the list was made


async def run(session: Session, request: Esearch) -> Reply:
    """Searches one mailbox after the other; the response of each names it."""
    returns = request.returns
    if session.selected is None and (SELECTED in request.sources or returns.updates):
        raise bad(b"No mailbox is selected")
    check_tag(session, returns)
    if returns.saves:
        session.box().saved = frozenset()
    now_s, start = session.door.now_s(), request.program.position
    progress = Progress(session)
    async for box in _boxes(session, request.sources):
        request.program.position = start
        node, enables = parse_program(request.program, now_s)
        positions = await search(box, node, progress=progress)
        for name in enables:
            await session.enable(name)
        if box is session.selected:
            if returns.saves:
                box.saved = frozenset(box.uids[at] for at in returns.shown(positions))
            await follow(session, returns, node, (), positions, uid=True)
        if not positions or returns.silent:
            continue
        data = returns.serialize([box.uids[at] for at in positions])
        if enables:
            data += b" MODSEQ %d" % max(box.modseqs[at] for at in returns.shown(positions))
        mailbox = serialize_mailbox(box.mailbox.name, utf8=session.utf8)
        correlators = b" MAILBOX %b UIDVALIDITY %d" % (mailbox, box.mailbox.uid_validity)
        await session.send(serialize_esearch(session.tag, data, uid=True, correlators=correlators))
    return ok(b"ESEARCH completed")


COMMAND = Command(
    b"ESEARCH",
    LOGGED_IN,
    parse,
    run,
    capabilities=(b"MULTISEARCH",),
    # Its program may have sequence numbers, as SEARCH's.
    updates=Updates.NO_EXPUNGE,
    uid_form=True,
)
