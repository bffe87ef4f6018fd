"""The contract's rules about house-keeping: what can be taken back, limits, holds, warnings, inspection, erasure."""

from __future__ import annotations

import pytest

from mailserver_py.mailstore.keeping import Erasure
from mailserver_py.mailstore.values import (
    AccountHeld,
    AccountRules,
    Flag,
    FlagChange,
    NewMessage,
    NoSuchAccount,
    NoSuchMailbox,
    OverQuota,
    RecipientState,
    StoreUnavailable,
)

from .site import ALICE, BOB, NOW_S, Site, local, outside, rule

DAY_S = 86_400
KEPT = AccountRules(kept_for_s=14 * DAY_S)


class KeepingRules:
    """Expunged mail, limits, upkeep, erasure."""

    @rule
    async def test_what_was_expunged_comes_back_with_flags_dates_and_a_new_uid(self, site: Site) -> None:
        site.rules[ALICE] = KEPT
        account = await site.account()
        await account.append(
            "INBOX", [NewMessage(await site.staged("the letter"), NOW_S - 5, int(Flag.SEEN), "$Work")]
        )
        await site.append(account)
        inbox = await site.inbox(account)
        before = (await account.messages(inbox.mailbox_id))[0]
        await account.store_flags(inbox.mailbox_id, [1], FlagChange.ADD, Flag.DELETED)
        site.now_s += 60
        assert list(await account.expunge(inbox.mailbox_id)) == [1]
        keeping = await site.store.keeping(ALICE)
        (kept,) = await keeping.list_expunged()
        assert (kept.mailbox, kept.uid, kept.expunged_at_s) == ("INBOX", 1, NOW_S + 60)
        assert kept.subject == "subject of the lett"
        site.announced.clear()
        (restored,) = await keeping.undelete([kept.expunged_id])
        assert (restored.mailbox, restored.uid) == ("INBOX", 3)
        assert inbox.mailbox_id in {changed.mailbox_id for changed in site.announced}
        after = (await account.messages(inbox.mailbox_id))[-1]
        assert after == before._replace(uid=3, modseq=after.modseq)
        assert await keeping.list_expunged() == []
        assert list(await keeping.undelete([kept.expunged_id])) == []
        assert await site.store.check() == []

    @rule
    async def test_sessions_never_see_what_is_kept_and_it_counts_against_no_quota(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=100, kept_for_s=DAY_S)
        account = await site.account()
        await account.append("INBOX", [NewMessage(await site.staged("x" * 90), NOW_S)])
        inbox = await site.inbox(account)
        await account.remove(inbox.mailbox_id, [1])
        assert await account.messages(inbox.mailbox_id) == []
        assert list((await account.changes(inbox.mailbox_id, 1)).expunged_uids) == [1]
        assert (await site.inbox(account)).message_count == 0
        assert [rows async for rows in account.letters(inbox.mailbox_id, [1])] == []
        usage = await account.usage()
        assert (usage.size_bytes, usage.message_count) == (0, 0)
        standing = await (await site.store.keeping(ALICE)).standing()
        assert (standing.expunged_count, standing.expunged_bytes) == (1, 90)
        await account.append("INBOX", [NewMessage(await site.staged("y" * 90), NOW_S)])

    @rule
    async def test_what_is_kept_takes_no_more_room_than_the_quota(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=100, kept_for_s=DAY_S)
        account = await site.account()
        inbox = await site.inbox(account)
        for number in range(5):
            await account.append("INBOX", [NewMessage(await site.staged(f"{number}" * 40), NOW_S)])
            await account.remove(inbox.mailbox_id, [number + 1])
        keeping = await site.store.keeping(ALICE)
        assert [kept.uid for kept in await keeping.list_expunged()] == [4, 5]
        assert await site.store.maintain() == 3
        assert await site.store.check() == []

    @rule
    async def test_every_way_of_removing_keeps(self, site: Site) -> None:
        site.rules[ALICE] = KEPT
        account = await site.account()
        await account.create("Box")
        await site.append(account, count=3)
        await site.append(account, "Box", count=2)
        inbox = await site.inbox(account)
        await account.remove(inbox.mailbox_id, [1])
        await account.store_flags(inbox.mailbox_id, [2], FlagChange.ADD, Flag.DELETED)
        await account.expunge(inbox.mailbox_id, [2])
        await account.replace(inbox.mailbox_id, 3, "INBOX", NewMessage(await site.staged(), NOW_S))
        await account.delete("Box")
        keeping = await site.store.keeping(ALICE)
        found = [(kept.mailbox, kept.uid) for kept in await keeping.list_expunged()]
        assert found == [("INBOX", 1), ("INBOX", 2), ("INBOX", 3), ("Box", 1), ("Box", 2)]
        assert await site.store.check() == []

    @rule
    async def test_moving_keeps_nothing(self, site: Site) -> None:
        site.rules[ALICE] = KEPT
        account = await site.account()
        await site.append(account, count=2)
        await account.move((await site.inbox(account)).mailbox_id, [1, 2], "Archive")
        assert await (await site.store.keeping(ALICE)).list_expunged() == []

    @rule
    async def test_a_letter_comes_back_where_its_mailbox_is_now_or_into_inbox(self, site: Site) -> None:
        site.rules[ALICE] = KEPT
        account = await site.account()
        keeping = await site.store.keeping(ALICE)
        for name in ("Old", "Gone", "Again"):
            await account.create(name)
            await site.append(account, name)
        await account.remove((await account.mailbox("Old")).mailbox_id, [1])
        await account.rename("Old", "New")
        await account.delete("Gone")
        await account.delete("Again")
        await account.create("Again")
        kept = await keeping.list_expunged()
        assert [one.mailbox for one in kept] == ["New", "Gone", "Again"]
        with pytest.raises(NoSuchMailbox):
            await keeping.undelete([kept[0].expunged_id], "Nowhere")
        restored = await keeping.undelete([one.expunged_id for one in kept])
        assert {one.expunged_id: (one.mailbox, one.uid) for one in restored} == {
            kept[0].expunged_id: ("New", 2),
            kept[1].expunged_id: ("INBOX", 1),
            kept[2].expunged_id: ("Again", 1),
        }
        assert await site.store.check() == []

    @rule
    async def test_taking_back_stays_below_the_quota_or_takes_nothing(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=100, kept_for_s=DAY_S)
        account = await site.account()
        await account.append("INBOX", [NewMessage(await site.staged("x" * 60), NOW_S)])
        await account.remove((await site.inbox(account)).mailbox_id, [1])
        await account.append("INBOX", [NewMessage(await site.staged("y" * 60), NOW_S)])
        keeping = await site.store.keeping(ALICE)
        (kept,) = await keeping.list_expunged()
        with pytest.raises(OverQuota):
            await keeping.undelete([kept.expunged_id])
        assert len(await keeping.list_expunged()) == 1

    @rule
    async def test_kept_letters_are_read_and_their_files_stay_until_they_are_forgotten(
        self, site: Site
    ) -> None:
        site.rules[ALICE] = KEPT
        account = await site.account()
        await account.append("INBOX", [NewMessage(await site.staged("octets"), NOW_S)])
        await account.remove((await site.inbox(account)).mailbox_id, [1])
        keeping = await site.store.keeping(ALICE)
        (kept,) = await keeping.list_expunged()
        site.now_s += 14 * DAY_S - 1
        assert await keeping.forget_expunged() == 0
        assert await site.store.maintain() == 0
        chunks = [row async for chunk in keeping.expunged_letters([kept.expunged_id]) for row in chunk]
        assert chunks == [(kept.expunged_id, b"octets")]
        site.now_s += 1
        assert await keeping.forget_expunged() == 1
        assert await keeping.list_expunged() == []
        assert await site.store.maintain() == 1
        assert await site.store.check() == []

    @rule
    async def test_without_a_wish_to_keep_expunged_mail_goes_at_once(self, site: Site) -> None:
        account = await site.account()
        await site.append(account)
        await account.remove((await site.inbox(account)).mailbox_id, [1])
        assert await (await site.store.keeping(ALICE)).list_expunged() == []
        assert await site.store.maintain() == 1

    @rule
    async def test_under_legal_hold_nothing_is_forgotten(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=50, is_held=True)
        account = await site.account()
        for number in range(3):
            await account.append("INBOX", [NewMessage(await site.staged(f"{number}" * 40), NOW_S)])
            await account.remove((await site.inbox(account)).mailbox_id, [number + 1])
        site.now_s += 10_000 * DAY_S
        keeping = await site.store.keeping(ALICE)
        assert await keeping.forget_expunged() == 0
        assert len(await keeping.list_expunged()) == 3
        with pytest.raises(AccountHeld):
            await site.store.erase(ALICE)

    @rule
    async def test_many_are_forgotten_in_small_commits(self, site: Site) -> None:
        site.rules[ALICE] = KEPT
        account = await site.account()
        staged = await site.staged()
        await account.append("INBOX", [NewMessage(staged, NOW_S)] * 2500)
        await account.remove((await site.inbox(account)).mailbox_id, range(1, 2501))
        site.now_s += 15 * DAY_S
        assert await (await site.store.keeping(ALICE)).forget_expunged() == 2500
        assert await site.store.check() == []

    @rule
    async def test_the_count_of_messages_is_limited(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(message_limit_count=3)
        account = await site.account()
        await site.append(account, count=2)
        inbox = await site.inbox(account)
        with pytest.raises(OverQuota):
            await site.append(account, count=2)
        with pytest.raises(OverQuota):
            await account.copy(inbox.mailbox_id, [1, 2], "Archive")
        await site.append(account)
        await account.move(inbox.mailbox_id, [1, 2, 3], "Archive")
        (outcome,) = await site.deliver(await site.accept(local()))
        assert outcome.state is RecipientState.WAITING
        usage = await account.usage()
        assert (usage.message_count, usage.message_limit_count) == (3, 3)

    @rule
    async def test_the_count_of_mailboxes_is_limited(self, site: Site) -> None:
        account = await site.account()
        there = len(await account.list_mailboxes())
        site.rules[ALICE] = AccountRules(mailbox_limit_count=there + 2)
        account = await site.account()
        with pytest.raises(OverQuota):
            await account.create("a/b/c")
        await account.create("a/b")
        with pytest.raises(OverQuota):
            await account.create("c")
        assert (await account.usage()).mailbox_limit_count == (await account.usage()).mailbox_count

    @rule
    async def test_a_delivery_may_use_the_grace_and_nothing_else_may(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=100, grace_bytes=10)
        account = await site.account()
        await account.append("INBOX", [NewMessage(await site.staged("x" * 95), NOW_S)])
        with pytest.raises(OverQuota):
            await account.append("INBOX", [NewMessage(await site.staged("y" * 15), NOW_S)])
        (outcome,) = await site.deliver(await site.accept(local(), text="z" * 16))
        assert outcome.state is RecipientState.WAITING
        (outcome,) = await site.deliver(await site.accept(local(), text="z" * 15))
        assert outcome.state is RecipientState.DELIVERED

    @rule
    async def test_a_delivery_keeps_rules_that_no_session_wrote(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=10)
        (outcome,) = await site.deliver(await site.accept(local(), text="z" * 11))
        assert outcome.state is RecipientState.WAITING

    @rule
    async def test_a_warning_is_given_once_for_each_crossing(self, site: Site) -> None:
        site.rules[ALICE] = AccountRules(quota_bytes=10)
        account = await site.account()
        keeping = await site.store.keeping(ALICE)
        letter = NewMessage(await site.staged("longer than the quota"), NOW_S)
        assert await keeping.warn(letter, 0, 80)
        again = NewMessage(await site.staged("longer than the quota"), NOW_S)
        assert not await keeping.warn(again, 0, 80)
        assert (await site.inbox(account)).message_count == 1
        assert (await keeping.standing()).warned_percent == 80
        await keeping.reset_warning(80, 0)
        assert (await keeping.standing()).warned_percent == 0
        await site.store.maintain()
        assert await site.store.check() == []

    @rule
    async def test_inspection_sees_every_letter_once_and_goes_round(self, site: Site) -> None:
        account = await site.account()
        await site.append(account, count=40)
        seen, start = 0, ""
        for _ in range(300):
            found = await site.store.inspect(start, 1)
            assert found.damaged == []
            seen, start = seen + found.file_count, found.next_start
            if not start:
                break
        assert (seen, start) == (40, "")

    @rule
    async def test_an_account_is_erased_with_every_letter_that_nobody_else_has(self, site: Site) -> None:
        site.rules[ALICE] = KEPT
        alice, bob = await site.account(), await site.account(BOB)
        await site.append(alice, count=3)
        shared = await site.accept(local(ALICE), local(BOB), text="for both of them")
        await site.deliver(shared)
        await alice.remove((await site.inbox(alice)).mailbox_id, [1])
        await site.accept(local(ALICE), text="on its way to Alice")
        erasures: list[Erasure] = []
        await site.store.erase(ALICE, erasures.append)
        (erasure,) = erasures
        assert (erasure.message_count, erasure.expunged_count, erasure.letter_count) == (3, 1, 4)
        assert (erasure.removed_count, erasure.shared_count, erasure.returned_count) == (3, 1, 1)
        with pytest.raises(NoSuchAccount):
            await site.store.keeping(ALICE)
        with pytest.raises(NoSuchAccount):
            await site.store.erase(ALICE)
        (letter,) = await site.store.queue.list_letters()
        assert [(one.account, one.forward_path) for one in letter.recipients] == [("", ALICE)]
        rows = [r async for c in bob.letters((await site.inbox(bob)).mailbox_id, [1]) for r in c]
        assert rows == [(1, b"for both of them")]
        assert await site.store.check() == []
        again = await site.account()
        assert (await site.inbox(again)).message_count == 0

    @rule
    async def test_what_an_erased_account_had_sent_leaves_the_queue(self, site: Site) -> None:
        await site.account()
        letter = await site.letter(outside(), account=ALICE)
        await site.store.queue.accept(letter)
        erasures: list[Erasure] = []
        await site.store.erase(ALICE, erasures.append)
        assert erasures[0].dropped_count == 1
        assert await site.store.queue.list_letters() == []
        await site.store.maintain()
        assert await site.store.check() == []

    @rule
    async def test_an_account_is_not_erased_while_a_letter_is_being_delivered(self, site: Site) -> None:
        await site.account()
        letter = await site.accept(local(), owner="worker", lease_s=60)
        with pytest.raises(StoreUnavailable):
            await site.store.erase(ALICE)
        await site.deliver(letter)
        await site.store.erase(ALICE)
        assert await site.store.check() == []
