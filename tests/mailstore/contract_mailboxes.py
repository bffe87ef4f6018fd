"""The contract's rules about mailboxes and their names."""

from __future__ import annotations

import pytest

from mailserver_py.mailstore.values import (
    BadMailboxName,
    Changed,
    MailboxExists,
    NewMessage,
    NoSuchMailbox,
    OverQuota,
)

from .site import NOW_S, Site, local, rule


class MailboxRules:
    """Mixed into the contract."""

    @rule
    async def test_a_new_account_has_an_inbox_and_the_usual_mailboxes(self, site: Site) -> None:
        boxes = await (await site.account()).list_mailboxes()
        assert [box.name for box in boxes] == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
        assert [box.special_use for box in boxes] == [
            "",
            "\\Archive",
            "\\Drafts",
            "\\Junk",
            "\\Sent",
            "\\Trash",
        ]
        assert all(box.subscribed and box.uid_next == 1 and box.uid_validity > 0 for box in boxes)
        assert len({box.uid_validity for box in boxes}) == len(boxes)

    @rule
    async def test_inbox_is_found_in_any_case_and_as_a_first_level(self, site: Site) -> None:
        account = await site.account()
        assert (await account.mailbox("iNbOx")).name == "INBOX"
        assert (await account.create("inbox/deep")).name == "INBOX/deep"

    @rule
    async def test_create_makes_the_missing_levels_above(self, site: Site) -> None:
        account = await site.account()
        assert (await account.create("a/b/c/")).name == "a/b/c"
        names = [box.name for box in await account.list_mailboxes()]
        assert {"a", "a/b", "a/b/c"} <= set(names)

    @rule
    async def test_create_of_a_taken_name_is_refused(self, site: Site) -> None:
        account = await site.account()
        for name in ("INBOX", "inbox", "Sent"):
            with pytest.raises(MailboxExists):
                await account.create(name)

    @rule
    async def test_names_that_cannot_be_are_refused(self, site: Site) -> None:
        account = await site.account()
        bad_names = [
            "",
            "/",
            "a//b",
            "/a",
            "a\x00b",
            "a\nb",
            "a\x7fb",
            "x" * 1001,
            "/".join("a" * 33),
            " a",
            "\ud800",
        ]
        for name in bad_names:
            with pytest.raises(BadMailboxName):
                await account.create(name)
            with pytest.raises((NoSuchMailbox, BadMailboxName)):
                await account.mailbox(name)

    @rule
    async def test_names_are_kept_in_one_normal_form(self, site: Site) -> None:
        account = await site.account()
        assert (await account.create("Entwu\u0308rfe")).name == "Entw\u00fcrfe"
        with pytest.raises(MailboxExists):
            await account.create("Entw\u00fcrfe")

    @rule
    async def test_hostile_names_stay_names(self, site: Site) -> None:
        before = set(site.folder.parent.iterdir())
        account = await site.account("../../etc/passwd")
        for name in ("..", "../..", "a'b\"; DROP TABLE mailboxes", "%2f", "~root", "\u2215", "*", "a\\b"):
            assert (await account.create(name)).name == name
            assert (await account.mailbox(name)).message_count == 0
        assert set(site.folder.parent.iterdir()) == before

    @rule
    async def test_accounts_do_not_see_each_other(self, site: Site) -> None:
        first, second = await site.account("a@x"), await site.account("A@x")
        await site.append(first)
        await second.create("only here")
        assert (await site.inbox(second)).message_count == 0
        with pytest.raises(NoSuchMailbox):
            await first.mailbox("only here")

    @rule
    async def test_delete_takes_the_messages_and_leaves_what_is_below(self, site: Site) -> None:
        account = await site.account()
        box = await account.create("a")
        await account.create("a/b")
        await site.append(account, "a", 3)
        await account.delete("a")
        assert "a/b" in [box.name for box in await account.list_mailboxes()]
        assert (await account.usage()).message_count == 0
        for call in (account.mailbox("a"), account.delete("a"), account.changes(box.mailbox_id, 0)):
            with pytest.raises(NoSuchMailbox):
                await call
        with pytest.raises(NoSuchMailbox):
            await account.messages(box.mailbox_id)

    @rule
    async def test_inbox_is_not_deleted(self, site: Site) -> None:
        with pytest.raises(BadMailboxName):
            await (await site.account()).delete("Inbox")

    @rule
    async def test_a_mailbox_made_again_has_a_greater_uidvalidity_and_another_id(self, site: Site) -> None:
        account = await site.account()
        first = await account.create("a")
        await account.delete("a")
        second = await account.create("a")
        assert second.uid_validity > first.uid_validity
        assert second.mailbox_id != first.mailbox_id

    @rule
    async def test_uidvalidity_grows_when_the_clock_goes_back(self, site: Site) -> None:
        account = await site.account()
        first = await account.create("a")
        await account.delete("a")
        site.now_s -= 100_000
        await site.reopen()
        account = await site.account()
        assert (await account.create("a")).uid_validity > first.uid_validity

    @rule
    async def test_rename_carries_everything_below_and_keeps_uids(self, site: Site) -> None:
        account = await site.account()
        box = await account.create("a/b")
        appended = await site.append(account, "a/b", 2)
        await account.rename("a", "new/a")
        moved = await account.mailbox("new/a/b")
        assert (moved.mailbox_id, moved.uid_validity) == (box.mailbox_id, box.uid_validity)
        assert [m.uid for m in await account.messages(moved.mailbox_id)] == list(appended.uids)
        with pytest.raises(NoSuchMailbox):
            await account.mailbox("a")

    @rule
    async def test_rename_to_a_name_that_was_used_later_gets_a_greater_uidvalidity(self, site: Site) -> None:
        account = await site.account()
        old = await account.create("old")
        later = await account.create("later")
        await account.delete("later")
        await account.rename("old", "later")
        assert old.uid_validity < later.uid_validity < (await account.mailbox("later")).uid_validity

    @rule
    async def test_rename_is_refused_into_itself_onto_others_and_from_nothing(self, site: Site) -> None:
        account = await site.account()
        await account.create("a/b")
        for old, new, error in (
            ("a", "a/c", BadMailboxName),
            ("a", "Sent", MailboxExists),
            ("a", "inbox", MailboxExists),
            ("none", "x", NoSuchMailbox),
            ("a", "x//y", BadMailboxName),
        ):
            with pytest.raises(error):
                await account.rename(old, new)

    @rule
    async def test_rename_of_inbox_moves_its_messages(self, site: Site) -> None:
        account = await site.account()
        await account.create("INBOX/below")
        await site.append(account, count=2)
        before = await site.inbox(account)
        await account.rename("INBOX", "old mail")
        after = await site.inbox(account)
        assert (after.message_count, after.uid_next, after.uid_validity) == (0, 3, before.uid_validity)
        assert (await account.mailbox("old mail")).message_count == 2
        assert (await account.mailbox("INBOX/below")).name == "INBOX/below"

    @rule
    async def test_subscriptions_outlive_their_mailbox(self, site: Site) -> None:
        account = await site.account()
        await account.create("news")
        assert not (await account.mailbox("news")).subscribed
        await account.subscribe("news", True)
        assert (await account.mailbox("news")).subscribed
        await account.delete("news")
        assert "news" in await account.list_subscriptions()
        await account.subscribe("news", False)
        await account.subscribe("never there", False)
        assert "news" not in await account.list_subscriptions()

    @rule
    async def test_changes_of_the_list_are_announced(self, site: Site) -> None:
        account = await site.account()
        for call in (
            account.create("a"),
            account.rename("a", "b"),
            account.subscribe("b", True),
            account.delete("b"),
        ):
            site.announced.clear()
            await call
            assert Changed(account.name) in site.announced

    @rule
    async def test_usage_and_quota(self, site: Site) -> None:
        account = await site.account(quota_bytes=100)
        staged = await site.staged(b"x" * 60)
        await account.append("INBOX", [NewMessage(staged, NOW_S)])
        assert await account.usage() == (await account.usage())
        usage = await account.usage()
        assert (usage.size_bytes, usage.message_count, usage.quota_bytes) == (60, 1, 100)
        with pytest.raises(OverQuota):
            await account.append("INBOX", [NewMessage(staged, NOW_S)])
        inbox = await site.inbox(account)
        with pytest.raises(OverQuota):
            await account.copy(inbox.mailbox_id, [1], "Sent")
        await account.move(inbox.mailbox_id, [1], "Sent")
        assert (await account.usage()).size_bytes == 60
        assert (await site.inbox(account)).message_count == 0

    @rule
    async def test_a_quota_holds_for_deliveries_and_after_opening_again(self, site: Site) -> None:
        await site.account(quota_bytes=100)
        await site.reopen()
        letter = await site.accept(local(), text="x" * 101)
        (outcome,) = await site.deliver(letter)
        assert outcome.state.value == "waiting"
        account = await site.account(quota_bytes=200)
        (outcome,) = await site.deliver(letter)
        assert outcome.state.value == "delivered"
        assert (await account.usage()).message_count == 1
