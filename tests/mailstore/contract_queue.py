"""The contract's rules about the queue: promises, leases, exactly-once local delivery, and settling."""

from __future__ import annotations

import pytest

from mailserver_py.mailstore.values import (
    Changed,
    LetterDamaged,
    NewLetter,
    Outcome,
    QueuedLetter,
    RecipientState,
)

from .site import ALICE, BOB, NOW_S, Site, local, outside, rule

DELIVERED, FAILED, WAITING = RecipientState.DELIVERED, RecipientState.FAILED, RecipientState.WAITING


def outcomes(letter: QueuedLetter, state: RecipientState, next_attempt_at_s: int = 0) -> list[Outcome]:
    """The same outcome for every recipient."""
    return [Outcome(r.recipient_id, state, "said so", next_attempt_at_s) for r in letter.recipients]


class QueueRules:
    """Mixed into the contract."""

    @rule
    async def test_an_accepted_letter_is_there_after_opening_again(self, site: Site) -> None:
        letter = await site.accept(local(), outside(), text="hello")
        await site.reopen()
        assert list(await site.store.queue.list_letters()) == [letter]
        assert await site.store.queue.read(letter) == b"hello"
        assert (letter.size_bytes, letter.trace_id, letter.received_at_s) == (5, "trace0", NOW_S)

    @rule
    async def test_values_of_a_letter_come_back_as_they_went_in(self, site: Site) -> None:
        new = NewLetter(
            "t",
            "",
            await site.staged(),
            [outside("ü@x")],
            NOW_S,
            account=ALICE,
            smtputf8=True,
            eight_bit=True,
        )
        letter = await site.store.queue.accept(new)
        (queued,) = await site.store.queue.list_letters()
        assert queued == letter
        assert (queued.reverse_path, queued.account, queued.smtputf8, queued.eight_bit) == (
            "",
            ALICE,
            True,
            True,
        )
        assert queued.smtputf8 is True

    @rule
    async def test_ids_of_recipients_are_unique_for_ever(self, site: Site) -> None:
        first = await site.accept(outside(), outside("x@y"))
        await site.store.queue.lease("o", NOW_S, 10, 10)
        assert await site.store.queue.settle("o", first.letter_id, outcomes(first, DELIVERED))
        await site.reopen()
        second = await site.accept(outside())
        ids = [r.recipient_id for letter in (first, second) for r in letter.recipients]
        assert ids == sorted(set(ids))

    @rule
    async def test_a_large_letter_is_accepted_from_a_file(self, site: Site) -> None:
        letter = await site.accept(local(), text="q" * 2_000_000)
        await site.deliver(letter)
        account = await site.account()
        inbox = await site.inbox(account)
        ((uid, octets),) = [row async for chunk in account.letters(inbox.mailbox_id, [1]) for row in chunk]
        assert (uid, octets) == (1, b"q" * 2_000_000)

    @rule
    async def test_local_delivery_settles_and_the_letter_leaves(self, site: Site) -> None:
        letter = await site.accept(local(ALICE), local(BOB), owner="w", lease_s=60)
        done = await site.deliver(letter)
        assert [(o.recipient_id, o.state) for o in done] == [
            (r.recipient_id, DELIVERED) for r in letter.recipients
        ]
        assert list(await site.store.queue.list_letters()) == []
        assert await site.store.queue.next_due_at_s() is None
        for name in (ALICE, BOB):
            assert (await site.inbox(await site.account(name))).message_count == 1

    @rule
    async def test_local_delivery_repeated_adds_nothing(self, site: Site) -> None:
        letter = await site.accept(local(), outside())
        for _ in range(3):
            (outcome,) = await site.deliver(letter)
            assert outcome.state is DELIVERED
        await site.reopen()
        await site.deliver(letter)
        account = await site.account()
        assert (await site.inbox(account)).message_count == 1

    @rule
    async def test_a_delivery_repeated_long_after_its_letter_left_adds_nothing(self, site: Site) -> None:
        stale = await site.accept(local())
        await site.deliver(stale)
        for _ in range(3):
            await site.deliver(await site.accept(local()))
        await site.deliver(stale)
        assert (await site.inbox(await site.account())).message_count == 4

    @rule
    async def test_a_delivery_repeated_after_the_message_was_expunged_adds_nothing(self, site: Site) -> None:
        letter = await site.accept(local(), outside())
        await site.deliver(letter)
        account = await site.account()
        inbox = await site.inbox(account)
        await account.remove(inbox.mailbox_id, [1])
        await site.deliver(letter)
        assert (await site.inbox(account)).message_count == 0

    @rule
    async def test_two_recipients_that_lead_to_one_mailbox_get_one_copy(self, site: Site) -> None:
        letter = await site.accept(local(ALICE), local(ALICE), local(ALICE, "Archive"))
        assert len(await site.deliver(letter)) == 3
        account = await site.account()
        assert [(await account.mailbox(n)).message_count for n in ("INBOX", "Archive")] == [1, 1]

    @rule
    async def test_equal_letters_from_two_transactions_are_two_messages(self, site: Site) -> None:
        for _ in range(2):
            await site.deliver(await site.accept(local(), text="same"))
        assert (await site.inbox(await site.account())).message_count == 2

    @rule
    async def test_a_letter_for_a_mailbox_that_is_gone_lands_in_the_inbox(self, site: Site) -> None:
        (outcome,) = await site.deliver(await site.accept(local(ALICE, "no such")))
        assert outcome.state is DELIVERED
        assert (await site.inbox(await site.account())).message_count == 1

    @rule
    async def test_a_full_account_waits_and_the_others_get_theirs(self, site: Site) -> None:
        await site.account(BOB, quota_bytes=1)
        letter = await site.accept(local(ALICE), local(BOB), text="too much", owner="w", lease_s=60)
        assert [o.state for o in await site.deliver(letter)] == [DELIVERED, WAITING]
        (left,) = await site.store.queue.list_letters()
        assert [r.state for r in left.recipients] == [DELIVERED, WAITING]
        bob = left.recipients[1].recipient_id
        later = Outcome(bob, WAITING, "over quota", NOW_S + 900)
        assert await site.store.queue.settle("w", letter.letter_id, [later])
        assert await site.store.queue.next_due_at_s() == NOW_S + 900

    @rule
    async def test_a_delivery_is_announced_for_its_mailbox(self, site: Site) -> None:
        letter = await site.accept(local(), owner="w", lease_s=60)
        site.announced.clear()
        await site.deliver(letter)
        inbox = await site.inbox(await site.account())
        assert site.announced == [Changed(ALICE, inbox.mailbox_id)]

    @rule
    async def test_the_queue_is_announced_when_somebody_else_has_work(self, site: Site) -> None:
        await site.accept(local(), owner="w", lease_s=60)
        assert Changed("") not in site.announced
        await site.accept(local(), outside(), owner="w", lease_s=60)
        assert Changed("") in site.announced

    @rule
    async def test_a_lease_hands_each_recipient_to_one_owner(self, site: Site) -> None:
        queue = site.store.queue
        letter = await site.accept(outside())
        assert list(await queue.lease("one", NOW_S - 1, 60, 10)) == []
        assert list(await queue.lease("one", NOW_S, 60, 10)) == [letter]
        assert list(await queue.lease("two", NOW_S + 59, 60, 10)) == []
        assert await queue.next_due_at_s() == NOW_S + 60
        assert list(await queue.lease("two", NOW_S + 60, 60, 10)) == [letter]
        assert not await queue.settle("one", letter.letter_id, outcomes(letter, DELIVERED))
        assert [r.state for r in (await queue.list_letters())[0].recipients] == [WAITING]
        assert await queue.settle("two", letter.letter_id, outcomes(letter, DELIVERED))
        assert list(await queue.list_letters()) == []

    @rule
    async def test_accepting_with_an_owner_leases_the_local_recipients_only(self, site: Site) -> None:
        letter = await site.accept(local(), outside(), owner="w", lease_s=60)
        (leased,) = await site.store.queue.lease("runner", NOW_S, 60, 10)
        assert list(leased.recipients) == [letter.recipients[1]]
        (late,) = await site.store.queue.lease("runner", NOW_S + 60, 60, 10)
        assert late.recipients == letter.recipients

    @rule
    async def test_a_lease_is_kept_alive(self, site: Site) -> None:
        queue = site.store.queue
        letter = await site.accept(outside())
        await queue.lease("one", NOW_S, 60, 10)
        await queue.renew("one", NOW_S + 50, 60)
        assert list(await queue.lease("two", NOW_S + 100, 60, 10)) == []
        assert await queue.settle("one", letter.letter_id, outcomes(letter, WAITING, NOW_S + 500))
        assert list(await queue.lease("two", NOW_S + 499, 60, 10)) == []
        assert len(await queue.lease("two", NOW_S + 500, 60, 10)) == 1

    @rule
    async def test_a_lease_that_is_not_among_those_kept_alive_ends(self, site: Site) -> None:
        queue = site.store.queue
        kept, left = (await site.accept(outside("a@x"), outside("b@x"))).recipients
        await queue.lease("one", NOW_S, 60, 10)
        await queue.renew("one", NOW_S + 50, 60, [kept.recipient_id])
        (again,) = await queue.lease("two", NOW_S + 60, 60, 10)
        assert [recipient.recipient_id for recipient in again.recipients] == [left.recipient_id]

    @rule
    async def test_what_a_dead_owner_held_is_due_as_before_and_the_livings_is_not_touched(
        self, site: Site
    ) -> None:
        queue = site.store.queue
        dead = await site.accept(local(), owner="dead", lease_s=60)
        kept = await site.accept(local(), owner="alive", lease_s=60)
        assert sorted(await queue.list_owners()) == ["alive", "dead"]
        site.announced.clear()
        assert await queue.release_owners(["dead", "unheard of", ""]) == 1
        assert Changed("") in site.announced
        assert list(await queue.list_owners()) == ["alive"]
        assert list(await queue.lease("two", NOW_S, 60, 10)) == [dead]
        assert not await queue.settle("dead", dead.letter_id, outcomes(dead, DELIVERED))
        assert await queue.settle("alive", kept.letter_id, outcomes(kept, WAITING, NOW_S + 900))
        assert await queue.release_owners(["alive"]) == 0
        assert await queue.next_due_at_s() == NOW_S + 60

    @rule
    async def test_lease_takes_the_longest_due_first_and_no_more_than_asked(self, site: Site) -> None:
        for moment in (30, 10, 20):
            site.now_s = NOW_S + moment
            await site.accept(outside(f"{moment}@x"))
        leased = await site.store.queue.lease("o", NOW_S + 60, 60, 2)
        assert sorted(letter.recipients[0].forward_path for letter in leased) == ["10@x", "20@x"]

    @rule
    async def test_an_attempt_is_counted_and_its_reply_kept(self, site: Site) -> None:
        queue = site.store.queue
        letter = await site.accept(outside("a@x"), outside("b@x"))
        await queue.lease("o", NOW_S, 60, 10)
        first, second = letter.recipients
        done = [
            Outcome(first.recipient_id, WAITING, "451 busy", NOW_S + 900),
            Outcome(second.recipient_id, DELIVERED, "250 ok"),
        ]
        assert await queue.settle("o", letter.letter_id, done)
        (left,) = await queue.list_letters()
        assert [(r.attempt_count, r.last_reply, r.state) for r in left.recipients] == [
            (1, "451 busy", WAITING),
            (1, "250 ok", DELIVERED),
        ]
        (due,) = await queue.lease("o", NOW_S + 900, 60, 10)
        assert [r.recipient_id for r in due.recipients] == [first.recipient_id]
        assert not await queue.settle("o", letter.letter_id, [Outcome(second.recipient_id, FAILED, "late")])

    @rule
    async def test_a_bounce_enters_with_the_settlement_or_not_at_all(self, site: Site) -> None:
        queue = site.store.queue
        letter = await site.accept(outside())
        await queue.lease("o", NOW_S, 60, 10)
        bounce = NewLetter("b", "", await site.staged("bounce"), [local()], NOW_S)
        assert not await queue.settle("other", letter.letter_id, outcomes(letter, FAILED), [bounce])
        assert [queued.trace_id for queued in await queue.list_letters()] == ["trace0"]
        assert await queue.settle("o", letter.letter_id, outcomes(letter, FAILED), [bounce])
        (left,) = await queue.list_letters()
        assert (left.trace_id, await queue.read(left)) == ("b", b"bounce")

    @rule
    async def test_reading_a_letter_that_left_is_refused(self, site: Site) -> None:
        queue = site.store.queue
        letter = await site.accept(outside())
        await queue.lease("o", NOW_S, 60, 10)
        await queue.settle("o", letter.letter_id, outcomes(letter, DELIVERED))
        assert await site.store.maintain() == 1
        with pytest.raises(LetterDamaged):
            await queue.read(letter)

    @rule
    async def test_files_stay_while_anybody_refers_to_them(self, site: Site) -> None:
        text = "shared by all"
        account = await site.account()
        letter = await site.accept(local(), outside(), text=text)
        await site.deliver(letter)
        inbox = await site.inbox(account)
        await account.copy(inbox.mailbox_id, [1], "Archive")
        await account.remove(inbox.mailbox_id, [1])
        await account.delete("Archive")
        assert await site.store.maintain() == 0
        assert await site.store.queue.read(letter) == text.encode()
        await site.store.queue.lease("o", NOW_S, 60, 10)
        done = [Outcome(letter.recipients[1].recipient_id, DELIVERED, "250")]
        assert await site.store.queue.settle("o", letter.letter_id, done)
        assert await site.store.maintain() == 1
        assert await site.store.check() == []
