"""The contract's rules about messages: UIDs, MODSEQs, flags, copies, moves, and what changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import pytest

from mailserver_py.mailstore.values import (
    SAVED_AT,
    Changed,
    Flag,
    FlagChange,
    MessageGone,
    NewMessage,
    NoSuchMailbox,
    OverQuota,
)

from .site import NOW_S, Site, rule

DELETED, SEEN, FLAGGED = Flag.DELETED, Flag.SEEN, Flag.FLAGGED


class MessageRules:
    """Mixed into the contract."""

    @rule
    async def test_append_answers_with_ascending_uids_and_keeps_what_it_got(self, site: Site) -> None:
        account = await site.account()
        staged = await site.staged(b"hello\r\n")
        appended = await account.append(
            "inbox", [NewMessage(staged, 1234, SEEN, "b A"), NewMessage(await site.staged(), 99)]
        )
        inbox = await site.inbox(account)
        assert (list(appended.uids), appended.uid_validity) == ([1, 2], inbox.uid_validity)
        first, second = await account.messages(inbox.mailbox_id)
        assert (first.uid, first.flags, first.keywords, first.size_bytes) == (1, SEEN, "A b", 7)
        assert (first.received_at_s, first.sha256) == (1234, hashlib.sha256(b"hello\r\n").hexdigest())
        assert (second.uid, second.flags, second.keywords) == (2, 0, "")
        assert (inbox.message_count, inbox.unseen_count, inbox.uid_next) == (2, 1, 3)
        assert inbox.highest_modseq >= max(first.modseq, second.modseq)

    @rule
    async def test_append_to_nowhere_is_refused(self, site: Site) -> None:
        with pytest.raises(NoSuchMailbox):
            await site.append(await site.account(), "nowhere")

    @rule
    async def test_one_letter_may_be_appended_again(self, site: Site) -> None:
        account = await site.account()
        for size_bytes in (10, 1_000_000):
            staging = site.store.stage()
            await staging.write(b"y" * size_bytes)
            staged = await staging.finish()
            await account.append("INBOX", [NewMessage(staged, NOW_S), NewMessage(staged, NOW_S)])
            await account.append("Sent", [NewMessage(staged, NOW_S)])
            await staging.discard()
            await staging.discard()
        assert (await site.inbox(account)).message_count == 4
        assert await site.store.check() == []

    @rule
    async def test_letters_come_back_byte_for_byte_in_order(self, site: Site) -> None:
        account = await site.account()
        texts = [bytes([65 + n]) * size for n, size in enumerate((1, 5000, 300_000, 3_000_000, 40))]
        for text in texts:
            await account.append("INBOX", [NewMessage(await site.staged(text), NOW_S)])
        inbox = await site.inbox(account)
        got = [row async for chunk in account.letters(inbox.mailbox_id, [1, 2, 3, 4, 5, 77]) for row in chunk]
        assert got == list(enumerate(texts, 1))
        assert [chunk async for chunk in account.letters(inbox.mailbox_id, [])] == []

    @rule
    async def test_a_reader_of_letters_may_stop_early(self, site: Site) -> None:
        account = await site.account()
        for _ in range(4):
            await account.append("INBOX", [NewMessage(await site.staged(b"z" * 900_000), NOW_S)])
        inbox = await site.inbox(account)
        letters = account.letters(inbox.mailbox_id, [1, 2, 3, 4])
        async for _ in letters:
            break
        if isinstance(letters, AsyncGenerator):
            await letters.aclose()
        assert (await site.inbox(account)).message_count == 4

    @rule
    async def test_digests_are_what_was_derived_at_delivery(self, site: Site) -> None:
        account = await site.account()
        await account.append(
            "INBOX", [NewMessage(await site.staged(t), NOW_S) for t in ("first", "second", "third")]
        )
        inbox = await site.inbox(account)
        rows = await account.digests(inbox.mailbox_id, [1, 3, 9], ["subject", "header_bytes", "envelope"])
        assert list(rows) == [(1, "subject of first", 5, b"Efirst"), (3, "subject of third", 5, b"Ethird")]
        assert [row[0] for row in await account.digests(inbox.mailbox_id, [1, 2, 3], ["body"])] == [1, 2, 3]
        assert list(await account.digests(inbox.mailbox_id, [], ["body"])) == []

    @rule
    async def test_large_letters_have_digests_too(self, site: Site) -> None:
        account = await site.account()
        await account.append("INBOX", [NewMessage(await site.staged(b"large   " * 100_000), NOW_S)])
        inbox = await site.inbox(account)
        assert list(await account.digests(inbox.mailbox_id, [1], ["header_bytes"])) == [(1, 800_000)]

    @rule
    async def test_flags_are_replaced_added_and_removed(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, flags=int(SEEN))
        mailbox_id = (await site.inbox(account)).mailbox_id
        for change, flags, keywords, expected in (
            (FlagChange.ADD, FLAGGED, ["Foo"], (SEEN | FLAGGED, "Foo")),
            (FlagChange.ADD, DELETED, ["bar", "FOO"], (SEEN | FLAGGED | DELETED, "Foo bar")),
            (FlagChange.REMOVE, SEEN, ["foo"], (FLAGGED | DELETED, "bar")),
            (FlagChange.REPLACE, SEEN, ["BAR"], (SEEN, "bar")),
            (FlagChange.REPLACE, 0, [], (0, "")),
        ):
            stored = await account.store_flags(mailbox_id, [1, 5], change, int(flags), keywords)
            (message,) = stored.messages
            assert (message.flags, message.keywords) == expected
            assert list(await account.messages(mailbox_id)) == [message]

    @rule
    async def test_counters_follow_the_flags(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        mailbox_id = (await site.inbox(account)).mailbox_id
        await account.store_flags(mailbox_id, [1, 2], FlagChange.ADD, int(SEEN | DELETED))
        inbox = await site.inbox(account)
        assert (inbox.unseen_count, inbox.deleted_count) == (1, 2)
        await account.expunge(mailbox_id, [1])
        inbox = await site.inbox(account)
        assert (inbox.message_count, inbox.unseen_count, inbox.deleted_count) == (2, 1, 1)
        assert await site.store.check() == []

    @rule
    async def test_a_message_already_as_wished_keeps_its_modseq(self, site: Site) -> None:
        account = await site.account()
        await site.append(account)
        mailbox_id = (await site.inbox(account)).mailbox_id
        first = (await account.store_flags(mailbox_id, [1], FlagChange.ADD, int(SEEN))).messages[0]
        site.announced.clear()
        again = (await account.store_flags(mailbox_id, [1], FlagChange.ADD, int(SEEN))).messages[0]
        assert again == first
        assert site.announced == []

    @rule
    async def test_unchangedsince_refuses_messages_changed_later(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=2)
        mailbox_id = (await site.inbox(account)).mailbox_id
        before = (await site.inbox(account)).highest_modseq
        await account.store_flags(mailbox_id, [1], FlagChange.ADD, int(SEEN))
        stored = await account.store_flags(
            mailbox_id, [1, 2], FlagChange.ADD, int(FLAGGED), unchanged_since=before
        )
        assert list(stored.refused_uids) == [1]
        assert [(m.uid, m.flags) for m in stored.messages] == [(2, FLAGGED)]

    @rule
    async def test_expunge_takes_the_deleted_of_those_named(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=4)
        mailbox_id = (await site.inbox(account)).mailbox_id
        await account.store_flags(mailbox_id, [1, 2, 3], FlagChange.ADD, int(DELETED))
        assert list(await account.expunge(mailbox_id, [2, 4])) == [2]
        assert list(await account.expunge(mailbox_id)) == [1, 3]
        assert list(await account.expunge(mailbox_id)) == []
        assert [m.uid for m in await account.messages(mailbox_id)] == [4]

    @rule
    async def test_remove_takes_messages_whatever_their_flags(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        mailbox_id = (await site.inbox(account)).mailbox_id
        assert list(await account.remove(mailbox_id, [1, 3, 9])) == [1, 3]
        assert (await account.usage()).message_count == 1

    @rule
    async def test_uids_are_never_used_again(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        mailbox_id = (await site.inbox(account)).mailbox_id
        await account.remove(mailbox_id, [1, 2, 3])
        await site.reopen()
        account = await site.account()
        assert list((await site.append(account)).uids) == [4]

    @rule
    async def test_copy_keeps_flags_and_dates(self, site: Site) -> None:
        account = await site.account()
        await account.append(
            "INBOX", [NewMessage(await site.staged(), n, int(FLAGGED), "k") for n in (5, 6, 7)]
        )
        mailbox_id = (await site.inbox(account)).mailbox_id
        copied = await account.copy(mailbox_id, [1, 3, 8], "Archive")
        assert (list(copied.source_uids), list(copied.uids)) == ([1, 3], [1, 2])
        archive = await account.mailbox("Archive")
        rows = await account.messages(archive.mailbox_id)
        assert [(m.received_at_s, m.flags, m.keywords) for m in rows] == [
            (5, FLAGGED, "k"),
            (7, FLAGGED, "k"),
        ]
        assert (await site.inbox(account)).message_count == 3
        with pytest.raises(NoSuchMailbox):
            await account.copy(mailbox_id, [1], "nowhere")

    @rule
    async def test_move_leaves_nothing_behind_and_loses_nothing(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        inbox = await site.inbox(account)
        moved = await account.move(inbox.mailbox_id, [2, 3], "Trash")
        assert (list(moved.source_uids), list(moved.uids)) == ([2, 3], [1, 2])
        changes = await account.changes(inbox.mailbox_id, inbox.highest_modseq)
        assert list(changes.expunged_uids) == [2, 3]
        assert (await account.usage()).message_count == 3
        with pytest.raises(NoSuchMailbox):
            await account.move(inbox.mailbox_id, [1], "nowhere")

    @rule
    async def test_move_inside_one_mailbox_gives_new_uids(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=2)
        inbox = await site.inbox(account)
        assert list((await account.move(inbox.mailbox_id, [1], "INBOX")).uids) == [3]
        assert [m.uid for m in await account.messages(inbox.mailbox_id)] == [2, 3]
        assert await site.store.check() == []

    @rule
    async def test_changes_tell_all_that_happened_since(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        inbox = await site.inbox(account)
        since = inbox.highest_modseq
        assert list((await account.changes(inbox.mailbox_id, since)).messages) == []
        await account.store_flags(inbox.mailbox_id, [1], FlagChange.ADD, int(SEEN))
        await site.append(account)
        await account.remove(inbox.mailbox_id, [2])
        changes = await account.changes(inbox.mailbox_id, since)
        assert [m.uid for m in changes.messages] == [1, 4]
        assert list(changes.expunged_uids) == [2]
        assert changes.mailbox == await site.inbox(account)
        assert changes.mailbox.highest_modseq > since

    @rule
    async def test_modseq_only_grows(self, site: Site) -> None:
        account = await site.account()
        seen = [(await site.inbox(account)).highest_modseq]
        inbox = await site.inbox(account)
        await site.append(account, count=2)
        for call in (
            lambda: account.store_flags(inbox.mailbox_id, [1], FlagChange.ADD, int(DELETED)),
            lambda: account.copy(inbox.mailbox_id, [1], "INBOX"),
            lambda: account.expunge(inbox.mailbox_id),
            lambda: account.move(inbox.mailbox_id, [2], "Sent"),
        ):
            await call()
            seen.append((await site.inbox(account)).highest_modseq)
        assert seen == sorted(set(seen))

    @rule
    async def test_what_changes_a_mailbox_is_announced_after_the_fact(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=2)
        inbox = await site.inbox(account)
        sent = await account.mailbox("Sent")
        for call, mailbox_ids in (
            (account.store_flags(inbox.mailbox_id, [1], FlagChange.ADD, int(DELETED)), {inbox.mailbox_id}),
            (account.copy(inbox.mailbox_id, [2], "Sent"), {sent.mailbox_id}),
            (account.move(inbox.mailbox_id, [2], "Sent"), {inbox.mailbox_id, sent.mailbox_id}),
            (account.expunge(inbox.mailbox_id), {inbox.mailbox_id}),
            (site.append(account), {inbox.mailbox_id}),
        ):
            site.announced.clear()
            await call
            assert {changed.mailbox_id for changed in site.announced} == mailbox_ids
            assert {changed.account for changed in site.announced} == {account.name}

    @rule
    async def test_a_deleted_mailbox_is_gone_for_every_call(self, site: Site) -> None:
        account = await site.account()
        box = await account.create("a")
        await account.delete("a")
        for call in (
            account.store_flags(box.mailbox_id, [1], FlagChange.ADD, 1),
            account.expunge(box.mailbox_id),
            account.remove(box.mailbox_id, [1]),
            account.copy(box.mailbox_id, [1], "INBOX"),
            account.move(box.mailbox_id, [1], "INBOX"),
        ):
            with pytest.raises(NoSuchMailbox):
                await call

    @rule
    async def test_many_callers_at_once_each_get_their_own_answer(self, site: Site) -> None:
        account = await site.account()
        answers = await asyncio.gather(*(site.append(account) for _ in range(50)))
        assert sorted(uid for answer in answers for uid in answer.uids) == list(range(1, 51))
        refused = await asyncio.gather(
            site.append(account),
            site.append(account, "nowhere"),
            site.append(account),
            return_exceptions=True,
        )
        assert [type(answer).__name__ for answer in refused] == ["Appended", "NoSuchMailbox", "Appended"]
        inbox = await site.inbox(account)
        messages = await account.messages(inbox.mailbox_id)
        assert len({m.sha256 for m in messages}) == 52

    @rule
    async def test_a_caller_that_went_away_harms_nobody(self, site: Site) -> None:
        account = await site.account()
        first = asyncio.ensure_future(site.append(account))
        await asyncio.sleep(0)
        first.cancel()
        await site.append(account)
        assert (await site.inbox(account)).message_count in (1, 2)
        assert Changed(account.name, (await site.inbox(account)).mailbox_id) in site.announced

    @rule
    async def test_a_whole_copy_or_move_is_refused_when_a_message_is_gone(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=3)
        inbox = await site.inbox(account)
        await account.remove(inbox.mailbox_id, [2])
        for transfer in (account.copy, account.move):
            with pytest.raises(MessageGone):
                await transfer(inbox.mailbox_id, [1, 2, 3], "Sent", whole=True)
        assert (await account.mailbox("Sent")).message_count == 0
        assert list((await account.copy(inbox.mailbox_id, [1, 3], "Sent", whole=True)).source_uids) == [1, 3]
        assert list((await account.move(inbox.mailbox_id, [1, 2, 3], "Sent")).source_uids) == [1, 3]

    @rule
    async def test_replace_puts_one_letter_in_another_ones_stead(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=2)
        inbox = await site.inbox(account)
        appended = await account.replace(
            inbox.mailbox_id, 1, "INBOX", NewMessage(await site.staged("new\r\n"), 5, SEEN)
        )
        assert (list(appended.uids), list(appended.source_uids)) == ([3], [1])
        appended = await account.replace(inbox.mailbox_id, 2, "Sent", NewMessage(await site.staged(), 5))
        changes = await account.changes(inbox.mailbox_id, inbox.highest_modseq)
        assert [message.uid for message in changes.messages] == [3]
        assert sorted(changes.expunged_uids) == [1, 2]
        assert (await account.mailbox("Sent")).message_count == 1
        for uid, target, error in ((1, "INBOX", MessageGone), (3, "nowhere", NoSuchMailbox)):
            with pytest.raises(error):
                await account.replace(inbox.mailbox_id, uid, target, NewMessage(await site.staged(), 5))
        assert [m.uid for m in await account.messages(inbox.mailbox_id)] == [3]
        assert await site.store.check() == []

    @rule
    async def test_replace_counts_only_the_difference_against_the_quota(self, site: Site) -> None:
        account = await site.account("small@example.test", 1000)
        await account.append("INBOX", [NewMessage(await site.staged("x" * 900), 1)])
        inbox = await account.mailbox("INBOX")
        await account.replace(inbox.mailbox_id, 1, "INBOX", NewMessage(await site.staged("y" * 950), 1))
        with pytest.raises(OverQuota):
            await account.replace(inbox.mailbox_id, 2, "INBOX", NewMessage(await site.staged("z" * 1001), 1))
        assert (await account.usage()).size_bytes == 950

    @rule
    async def test_a_message_has_the_date_when_it_came_into_its_mailbox(self, site: Site) -> None:
        account = await site.account()
        await site.append(account)
        inbox = await site.inbox(account)
        site.now_s += 100
        await account.copy(inbox.mailbox_id, [1], "Sent")
        await account.move(inbox.mailbox_id, [1], "INBOX")
        sent = await account.mailbox("Sent")
        assert list(await account.digests(inbox.mailbox_id, [2], (SAVED_AT,))) == [(2, NOW_S + 100)]
        assert list(await account.digests(sent.mailbox_id, [1], (SAVED_AT,))) == [(1, NOW_S + 100)]
        assert [m.received_at_s for m in await account.messages(sent.mailbox_id)] == [NOW_S]
