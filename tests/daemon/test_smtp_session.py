"""An SMTP connection from greeting to mailbox: policy, trace fields, verdicts, signatures, deadlines,
bugs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mailserver_py.daemon import smtp_session
from mailserver_py.daemon.policy.space import IN_HAND_LETTERS
from mailserver_py.mailstore.values import StoreFull, StoreUnavailable
from mailserver_py.senderauth import dkim
from mailserver_py.smtp.extensions import Role
from mailserver_py.spec.model import Limits

from .smtp_world import ALICE, BOB, CAROL, World, running

LETTER = b"From: x@good.test\r\nTo: bob@lab.test\r\nSubject: hello\r\n\r\nSome text.\r\n.dotted\r\n"
OURS = b"From: Alice <alice@lab.test>\r\nTo: bob@lab.test\r\nSubject: hello\r\n\r\nSome text.\r\n"

Story = Callable[[World], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., None]:
    """Runs one story on a fresh host."""

    def run(story: Story, **changes: Any) -> None:
        async def main() -> None:
            async with running(**changes) as world:
                await story(world)

        asyncio.run(main())

    return run


def test_a_letter_from_the_world_lies_in_the_mailbox_behind_its_trace_fields(
    play: Callable[..., None],
) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        answer = await client.send("x@good.test", [BOB], LETTER)
        assert answer == "250 2.0.0 accepted as trace00000000001"
        await client.quit()
        (kept,) = await world.letters(BOB)
        assert kept.endswith(LETTER)
        front = kept.removesuffix(LETTER).decode()
        assert front.startswith(
            "Return-Path: <x@good.test>\r\n"
            "Received: from client.test ([192.0.2.7])\r\n"
            " by mx1.lab.test with ESMTP\r\n"
            " id trace00000000001 for <bob@lab.test>;\r\n"
        )
        assert front.count("Return-Path") == 1
        assert (
            "Authentication-Results: mx1.lab.test;\r\n spf=pass smtp.mailfrom=x@good.test;\r\n dkim=none"
            in front
        )
        (accepted,) = world.events("smtp.accepted")
        (delivered,) = world.events("delivery.local")
        assert accepted["trace"] == delivered["trace"] == "trace00000000001"
        assert delivered["recipient"] == BOB

    play(story)


def test_a_letter_reaches_each_mailbox_once_however_it_was_addressed(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        recipients = [ALICE, "al@lab.test", "ALICE+shop@LAB.test", "team@lab.test", "any@xn--bcher-kva.test"]
        await client.send("x@good.test", recipients, LETTER)
        await client.quit()
        assert len(await world.letters(ALICE)) == 1
        assert len(await world.letters(BOB)) == 1
        assert [line["account"] for line in world.events("delivery.local")] == [ALICE, BOB]

    play(story)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("<nobody@lab.test>", "550 5.1.1"),
        ("<carol@lab.test>", "550 5.2.1"),
        ("<user@elsewhere.test>", "550 5.7.1"),
        ("<user%elsewhere.test@lab.test>", "550 5.1.1"),
        ("<elsewhere.test!user@lab.test>", "550 5.1.1"),
        ('<"user@elsewhere.test"@lab.test>', "550 5.1.1"),
        ("<@lab.test:user@elsewhere.test>", "550 5.7.1"),
        ("<user@elsewhere.test@lab.test>", "501 5.1.3"),
        ("<user@lab.test@elsewhere.test>", "501 5.1.3"),
        ("<bob@lab.test.>", "501 5.1.3"),
        ("<user@[127.0.0.1]>", "550 5.7.1"),
        ("<user@[IPv6:::1]>", "550 5.7.1"),
        ("<bob@[192.0.2.1]>", "550 5.7.1"),
        ("<user@ELSEWHERE.TEST>", "550 5.7.1"),
        ("<user@xn--elsewhere-abc.test>", "550 5.7.1"),
        ("<BOB@LAB.TEST>", "250 2.1.5"),
        ("<@relay.test:bob@lab.test>", "250 2.1.5"),
        ('<"bob"@lab.test>', "250 2.1.5"),
        ("<postmaster>", "250 2.1.5"),
        ("<Postmaster@lab.test>", "250 2.1.5"),
    ],
)
def test_a_stranger_reaches_our_mailboxes_and_nothing_else(
    play: Callable[..., None], path: str, answer: str
) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        await client.say("MAIL FROM:<>")
        assert (await client.say(f"RCPT TO:{path}")).startswith(answer)
        await client.quit()
        assert not await world.store.queue.list_letters()

    play(story)


def test_an_alias_may_lead_out_and_then_the_letter_waits_in_the_queue(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        await client.send("x@good.test", ["away@lab.test"], LETTER)
        await client.quit()
        assert len(await world.letters(BOB)) == 1
        (queued,) = await world.store.queue.list_letters()
        waiting = [(item.forward_path, item.original) for item in queued.recipients if not item.account]
        assert waiting == [("someone@peer.test", "away@lab.test")]

    play(story)


def test_spf_fail_is_written_down_and_refuses_nothing(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        assert (await client.send("x@evil.test", [BOB], LETTER)).startswith("250")
        await client.quit()
        (kept,) = await world.letters(BOB)
        assert b"spf=fail smtp.mailfrom=x@evil.test" in kept

    play(story)


def test_an_authentication_results_field_in_our_name_is_taken_out(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        forged = b"Authentication-Results: (x) MX1.lab.test;\r\n dkim=pass header.d=bank.test\r\n"
        await client.send("x@good.test", [BOB], forged + LETTER)
        await client.quit()
        (kept,) = await world.letters(BOB)
        assert b"bank.test" not in kept
        assert kept.endswith(LETTER)

    play(story)


def test_what_a_user_submits_is_signed_with_both_keys_and_completed(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect(Role.SUBMISSION, tls=True).log_in(ALICE)
        assert (await client.send(ALICE, [BOB], OURS)).startswith("250")
        await client.quit()
        (kept,) = await world.letters(BOB)
        for name in (b"\r\nDate: ", b"\r\nMessage-ID: <trace"):
            assert kept.count(name) == 1
        assert b"\r\nReceived: by mx1.lab.test with ESMTPSA (TLSv1.3 " in kept
        assert b"192.0.2.7" not in kept
        verdicts = await dkim.verify(kept, world.context.policy.checks._lookup, 1_800_000_001)
        assert [(verdict.result.value, verdict.selector) for verdict in verdicts] == [
            ("pass", "r1"),
            ("pass", "e1"),
        ]

    play(story)


def test_a_signed_letter_of_ours_passes_when_it_comes_back_from_the_world(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect(Role.SUBMISSION, tls=True).log_in(ALICE)
        await client.send(ALICE, [BOB], OURS)
        await client.quit()
        (kept,) = await world.letters(BOB)
        stranger = await world.connect().hello()
        await stranger.send("x@good.test", [ALICE], kept)
        await stranger.quit()
        (back,) = await world.letters(ALICE)
        assert back.count(b"dkim=pass header.d=lab.test") == 2

    play(story)


@pytest.mark.parametrize(
    ("sender", "letter", "answer"),
    [
        (BOB, b"", "550 5.7.1"),
        ("x@good.test", b"", "550 5.7.1"),
        (ALICE, b"From: bob@lab.test\r\n\r\n", "550 5.7.1"),
        (ALICE, b"From: alice@lab.test, bob@lab.test\r\n\r\n", "550 5.7.1"),
        (ALICE, b"From: alice@lab.test\r\nFrom: bob@lab.test\r\n\r\n", "550 5.6.0"),
        (ALICE, b"Subject: no author\r\n\r\n", "550 5.6.0"),
        (ALICE, b'From: "bob@lab.test" <al@lab.test>\r\n\r\n', "250"),
        ("al+news@lab.test", b"From: Alice+x@LAB.test\r\n\r\n", "250"),
        ("team@lab.test", b"From: team@lab.test\r\n\r\n", "250"),
        ("", b"From: alice@lab.test\r\n\r\n", "250"),
    ],
)
def test_an_account_sends_only_as_what_it_owns(
    play: Callable[..., None], sender: str, letter: bytes, answer: str
) -> None:
    async def story(world: World) -> None:
        client = await world.connect(Role.SUBMISSION, tls=True).log_in(ALICE)
        first = await client.say(f"MAIL FROM:<{sender}>")
        if not letter:
            assert first.startswith(answer)
            return
        await client.say(f"RCPT TO:<{BOB}>")
        await client.say("DATA")
        assert (await client.say(letter.decode() + ".")).startswith(answer)
        await client.quit()

    play(story)


def test_submission_needs_a_login_and_a_login_needs_tls(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect(Role.SUBMISSION).hello()
        assert (await client.say(f"MAIL FROM:<{ALICE}>")).startswith("530 5.7.0")
        assert (await client.say("AUTH PLAIN AGEAYg==")).startswith("538")
        await client.end.write(b"STARTTLS\r\n")
        assert (await client.reply()).startswith("220")
        await client.say("EHLO client.test")
        assert (await client.say(f"MAIL FROM:<{ALICE}>")).startswith("530 5.7.0")
        assert (await client.say("AUTH PLAIN AGEAYg==")).startswith("535")

    play(story)


def test_three_failed_logins_end_the_connection(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect(Role.SUBMISSION, tls=True).hello()
        answers = [await client.say("AUTH PLAIN AGEAYg==") for _ in range(3)]
        assert [answer[:3] for answer in answers] == ["535", "535", "421"]
        assert await client.reply() == "closed"
        assert len(world.events("login.refused")) == 3

    play(story)


def test_a_full_account_is_refused_at_rcpt_for_now(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        world.context.policy.space._quotas[BOB] = 1
        client = await world.connect().hello()
        await client.say("MAIL FROM:<x@good.test> SIZE=5000")
        assert (await client.say(f"RCPT TO:<{BOB}>")).startswith("452 4.2.2")
        assert (await client.say(f"RCPT TO:<{ALICE}>")).startswith("250")

    play(story)


def test_more_than_a_hundred_hops_are_a_loop(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        hop = b"Received: from a by b; Mon, 1 Jan 2026 00:00:00 +0000\r\n"
        assert (await client.send("x@good.test", [BOB], hop * 101 + LETTER)).startswith("554 5.4.6")
        assert (await client.send("x@good.test", [BOB], hop * 100 + LETTER)).startswith("250")
        await client.quit()

    play(story)


def test_two_from_fields_are_refused(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        assert (await client.send("x@good.test", [BOB], b"From: y@good.test\r\n" + LETTER)).startswith(
            "550 5.6.0"
        )

    play(story)


def test_a_letter_with_a_bare_line_ending_is_refused_and_the_session_goes_on(
    play: Callable[..., None],
) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        assert (await client.send("x@good.test", [BOB], b"From: a@b\r\n\r\na\n.\nb\r\n")).startswith(
            "554 5.6.0"
        )
        assert (await client.send("x@good.test", [BOB], LETTER)).startswith("250")
        await client.quit()
        assert len(await world.letters(BOB)) == 1
        assert len(world.events("smtp.refused")) == 1

    play(story)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (StoreFull("disk full"), "452 4.3.1"),
        (StoreUnavailable("a later schema"), "451 4.3.0"),
        (MemoryError(), "452 4.3.1"),
    ],
)
def test_trouble_of_ours_is_temporary_and_its_text_stays_home(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch, error: BaseException, answer: str
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    async def story(world: World) -> None:
        monkeypatch.setattr(world.store.queue, "accept", fail)
        client = await world.connect().hello()
        said = await client.send("x@good.test", [BOB], LETTER)
        assert said.startswith(answer)
        assert "disk full" not in said
        await client.quit()

    play(story)


def test_a_bug_ends_one_command_with_an_incident_id_and_a_traceback_in_the_log(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("private text")

    async def story(world: World) -> None:
        monkeypatch.setattr(world.store.queue, "accept", fail)
        client = await world.connect().hello()
        said = await client.send("x@good.test", [BOB], LETTER)
        assert said.startswith("451 4.3.0 internal error, incident trace")
        assert "private" not in said
        (incident,) = world.events("session.error")
        assert incident["incident"] == said.rpartition(" ")[2]
        assert (await client.say("NOOP")).startswith("250")

    play(story)


def test_a_silent_client_is_told_and_left(play: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_session, "COMMAND_S", 0.02)

    async def story(world: World) -> None:
        client = await world.connect().hello()
        assert (await client.reply()).startswith("421 4.4.2")
        assert await client.reply() == "closed"

    play(story)


def test_bytes_that_trickle_do_not_prolong_a_command(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_session, "COMMAND_S", 0.05)

    async def story(world: World) -> None:
        client = await world.connect().hello()
        started_s = asyncio.get_running_loop().time()
        for _ in range(20):
            try:
                await client.end.write(b"N")
            except ConnectionError:
                break
            await asyncio.sleep(0.01)
        assert (await client.reply()).startswith("421 4.4.2")
        assert asyncio.get_running_loop().time() - started_s < 0.15

    play(story)


def test_a_draining_process_says_421_between_commands(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        world.context.drain.start()
        assert (await client.reply()).startswith("421 4.3.2")

    play(story)


def test_a_letter_under_way_is_finished_while_draining(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        await client.say("MAIL FROM:<x@good.test>")
        await client.say(f"RCPT TO:<{BOB}>")
        await client.say("DATA")
        world.context.drain.start()
        await client.end.write(LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert (await client.end.read_until(b"\r\n")).startswith(b"250 2.0.0 accepted")

    play(story)


def test_too_many_recipients_are_left_for_the_next_letter(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        await client.say("MAIL FROM:<x@good.test>")
        answers = [await client.say(f"RCPT TO:<alice+{number}@lab.test>") for number in range(101)]
        assert {answer[:3] for answer in answers[:100]} == {"250"}
        assert answers[100].startswith("452 4.5.3")

    play(story, limits=Limits(recipients=100))


def test_a_stranger_cannot_try_names_for_ever(
    play: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_session, "UNKNOWN_COUNT", 3)

    async def story(world: World) -> None:
        client = await world.connect().hello()
        await client.say("MAIL FROM:<x@good.test>")
        answers = [await client.say(f"RCPT TO:<guess{number}@lab.test>") for number in range(4)]
        assert [answer[:3] for answer in answers] == ["550", "550", "550", "421"]

    play(story)


def test_a_disabled_account_gets_nothing(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        client = await world.connect().hello()
        await client.say("MAIL FROM:<x@good.test>")
        assert (await client.say(f"RCPT TO:<{CAROL}>")).startswith("550 5.2.1")

    play(story)


def test_letters_that_come_at_once_cannot_take_all_memory(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        space = world.context.policy.space
        assert space.hold(IN_HAND_LETTERS * 26_214_400 - 50)
        client = await world.connect().hello()
        assert (await client.send("x@good.test", [BOB], LETTER)).startswith("452 4.3.1")
        space.release(200)
        assert (await client.send("x@good.test", [BOB], LETTER)).startswith("250")
        await client.say("MAIL FROM:<x@good.test>")
        await client.say(f"RCPT TO:<{BOB}>")
        await client.say("DATA")
        await client.end.write(b"a" * 150)
        await client.end.close()
        await asyncio.wait_for(client._serving, 2)
        assert space._in_hand_bytes == IN_HAND_LETTERS * 26_214_400 - 250

    play(story)


def test_a_large_letter_is_checked_and_kept_like_a_small_one(play: Callable[..., None]) -> None:
    async def story(world: World) -> None:
        body = (b"x" * 76 + b"\r\n") * 7_000
        client = await world.connect(Role.SUBMISSION, tls=True).log_in(ALICE)
        await client.send(ALICE, [BOB], OURS + body)
        await client.quit()
        (kept,) = await world.letters(BOB)
        stranger = await world.connect().hello()
        await stranger.send("x@good.test", [ALICE], kept)
        await stranger.quit()
        (back,) = await world.letters(ALICE)
        assert back.endswith(kept)
        assert back.count(b"dkim=pass") == 2

    play(story)
