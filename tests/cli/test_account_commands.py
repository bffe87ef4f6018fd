"""`undelete`, `export`, `erase`: run on a store as on a mail host, and read back by foreign readers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import mailbox
import subprocess
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from mailserver_py.daemon.account_rules import derive_rules
from mailserver_py.imap.digest import derive
from mailserver_py.mailstore.embedded import EmbeddedStore
from mailserver_py.mailstore.values import Flag, NewLetter, NewMessage, NewRecipient
from mailserver_py.net.bus import Bus
from mailserver_py.spec.settings import AccountSettings
from tests.cli.run import Ran, run
from tests.daemon.smtp_world import ALICE, BOB, settings

Capsys = pytest.CaptureFixture[str]
LETTER = b"From: a@x\r\nTo: b@y\r\nSubject: the first\r\n\r\nhello\r\n"
AT_S = 1_600_000_000
T = TypeVar("T")


class Host:
    """A mail host's folders."""

    def __init__(self, folder: Path, capsys: Capsys) -> None:
        self.state = folder / "state"
        self.settings = folder / "settings.json"
        self.capsys = capsys
        self.write_settings()

    def write_settings(self, **changes: object) -> None:
        self.host = settings(**changes)
        self.settings.write_text(self.host.model_dump_json())

    def work(self, do: Callable[[EmbeddedStore], Awaitable[T]]) -> T:
        async def main() -> T:
            store = EmbeddedStore.open(self.state, digest=derive, rules=derive_rules(self.host))
            try:
                return await do(store)
            finally:
                await store.close()

        return asyncio.run(main())

    def run(self, command: str, *arguments: object, with_settings: bool = True) -> Ran:
        more = ["--settings", str(self.settings)] if with_settings else []
        return run(self.capsys, command, *map(str, arguments), "--state", str(self.state), *more)


async def put(
    store: EmbeddedStore, name: str, box: str, letter: bytes, flags: int = 0, words: str = ""
) -> None:
    staging = store.stage()
    await staging.write(letter)
    account = await store.account(name)
    await account.append(box, [NewMessage(await staging.finish(), AT_S, flags, words)])


async def fill(store: EmbeddedStore) -> None:
    """Alice has letters in odd places, one expunged, one deleted with its mailbox, one shared with Bob."""
    account = await store.account(ALICE)
    await put(store, ALICE, "INBOX", LETTER, int(Flag.SEEN | Flag.FLAGGED), "$Work")
    await put(store, ALICE, "INBOX", LETTER.replace(b"first", b"second"))
    for box in ("Archive/2024", "../odd.name", "Bücher & Co", "Gone"):
        await account.create(box)
        await put(store, ALICE, box, LETTER.replace(b"first", box.encode()))
    await put(store, BOB, "INBOX", LETTER)
    await account.remove((await account.mailbox("INBOX")).mailbox_id, [2])
    await account.delete("Gone")


@pytest.fixture
def host(tmp_path: Path, capsys: Capsys) -> Host:
    made = Host(tmp_path, capsys)
    made.work(fill)
    return made


def test_what_was_expunged_is_listed_and_taken_back(host: Host) -> None:
    listed = host.run("undelete", ALICE, with_settings=False)
    assert listed.status == 0
    assert [line.split("\t")[::5] for line in listed.out.splitlines()] == [
        ["mailbox", "subject"],
        ["INBOX", "the second"],
        ["Gone", "the Gone"],
    ]
    taken = host.run("undelete", ALICE, "--all", "--json", with_settings=False)
    assert taken.status == 0
    found = [(one["mailbox"], one["uid"]) for one in json.loads(taken.out)["letters"]]
    assert sorted(found) == [("Gone", 1), ("INBOX", 3)]
    assert host.run("store", "check", with_settings=False).status == 0
    assert host.run("undelete", ALICE, "--list", with_settings=False).status == 1


def test_one_uid_is_taken_back_elsewhere_and_a_wrong_one_is_named(host: Host) -> None:
    ran = host.run("undelete", ALICE, "2", "7", "--into", "Archive", with_settings=False)
    assert (ran.status, ran.err) == (1, "no expunged letter had UID 7 in INBOX\n")
    assert "Archive\t1\tINBOX 2\tthe second" in ran.out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("nobody@lab.test",), 2, "no account"),
        ((ALICE, "--all", "--into", "Nowhere"), 2, "no mailbox"),
        ((ALICE, "--all", "3"), 2, "exclude"),
        ((ALICE, "--since", "yesterday"), 2, "neither"),
        ((ALICE, "--since", "2200-01-01"), 1, ""),
        ((ALICE, "--mailbox", "Sent"), 1, ""),
    ],
)
def test_undelete_says_what_it_cannot(host: Host, arguments: tuple[str, ...], status: int, says: str) -> None:
    ran = host.run("undelete", *arguments, with_settings=False)
    assert (ran.status, says in ran.err) == (status, True)


LOG = [
    {
        "at": "1",
        "event": "smtp.accepted",
        "trace": "t1",
        "recipients": [ALICE, BOB],
        "reverse_path": "c@peer",
    },
    {"at": "2", "event": "delivery.local", "trace": "t1", "recipient": ALICE, "account": ALICE},
    {"at": "3", "event": "delivery.local", "trace": "t1", "recipient": BOB, "account": BOB},
    {"at": "4", "event": "login.ok", "account": ALICE, "peer": "192.0.2.1"},
    {"at": "5", "event": "smtp.accepted", "trace": "t2", "account": ALICE, "recipients": ["x@y", "z@y"]},
    {
        "at": "6",
        "event": "smtp.accepted",
        "trace": "t3",
        "recipients": ["al@lab.test"],
        "reverse_path": "c@peer",
    },
]


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.zst"])
def test_an_export_is_read_by_foreign_readers(host: Host, tmp_path: Path, suffix: str) -> None:
    log, file, out = tmp_path / "log", tmp_path / f"alice.{suffix}", tmp_path / "out"
    log.write_text("".join(json.dumps(line) + "\n" for line in LOG))
    ran = host.run("export", ALICE, file, "--log", log, "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out)["message_count"] == 4
    assert file.stat().st_mode & 0o777 == 0o600
    out.mkdir()
    subprocess.run(["tar", "-xaf", file, "-C", out], check=True)
    maildir = mailbox.Maildir(out / "Maildir", create=False)
    (letter,) = maildir
    assert letter["Subject"] == "the first"
    assert (letter.get_flags(), int(letter.get_date())) == ("FS", AT_S)
    assert sorted(name for name in maildir.list_folders() if len(maildir.get_folder(name))) == [
        "&AC4-&AC4-.odd&AC4-name",
        "Archive.2024",
        "B&APw-cher &- Co",
    ]
    assert [one["Subject"] for one in mailbox.Maildir(out / "expunged", create=False)] == [
        "the second",
        "the Gone",
    ]
    index = json.loads((out / "index.json").read_text())
    for row in index["messages"] + index["expunged"]:
        assert hashlib.sha256((out / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    assert index["messages"][0]["keywords"] == ["$Work"]
    assert index["messages"][0]["flags"] == ["\\Seen", "\\Flagged"]
    assert {box["name"] for box in index["mailboxes"]} >= {"../odd.name", "Archive/2024"}
    told = json.loads((out / "settings.json").read_text())
    assert (told["in_the_spec"], "al@lab.test" in told["addresses"]) == (True, True)
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["at"] for line in lines] == ["1", "2", "4", "5", "6"]
    assert BOB not in json.dumps(lines)


def test_nothing_leaves_the_folder_that_an_export_is_unpacked_in(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "alice.tar.gz"
    assert host.run("export", ALICE, file, "--without-log").status == 0
    with tarfile.open(file) as tar:
        assert all(".." not in name.split("/") and name[0] != "/" for name in tar.getnames())


def test_a_damaged_letter_is_named_and_the_rest_exported(host: Host, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(LETTER).hexdigest()
    (host.state / "blobs" / sha256[:2] / sha256[2:]).write_bytes(b"damaged")
    ran = host.run("export", ALICE, tmp_path / "a.tar.gz", "--without-log")
    assert (ran.status, sha256 in ran.err) == (1, True)
    assert (tmp_path / "a.tar.gz").exists()


@pytest.mark.parametrize("name", ["a.zip", "there.tar.gz", "none/a.tar.gz"])
def test_an_export_writes_no_other_form_and_over_nothing(host: Host, tmp_path: Path, name: str) -> None:
    (tmp_path / "there.tar.gz").write_bytes(b"kept")
    assert host.run("export", ALICE, tmp_path / name, "--without-log").status == 2
    assert (tmp_path / "there.tar.gz").read_bytes() == b"kept"


def test_an_export_that_fails_leaves_no_file(host: Host, tmp_path: Path) -> None:
    assert host.run("export", "nobody@lab.test", tmp_path / "a.tar.gz", "--without-log").status == 2
    assert list(tmp_path.glob("a.tar*")) == []


def every_byte(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_an_erased_account_leaves_no_byte_and_a_receipt(host: Host) -> None:
    async def queue(store: EmbeddedStore) -> None:
        staging = store.stage()
        await staging.write(b"sent by Alice, not yet out")
        letter = NewLetter("t", ALICE, await staging.finish(), [NewRecipient("x@peer.test")], AT_S, ALICE)
        await store.queue.accept(letter)

    host.work(queue)
    (host.state / "retention.json").write_text(json.dumps({f"{ALICE}/6/1": [[1, 2]], f"{BOB}/6/1": [[1, 2]]}))
    assert ALICE.encode() in every_byte(host.state)
    host.write_settings(accounts={BOB: AccountSettings(quota_bytes=0)}, addresses={})
    ran = host.run("erase", ALICE, "--yes", "--json")
    assert ran.status == 0, ran.err
    receipt = json.loads(ran.out)
    assert receipt["account_sha256"] == hashlib.sha256(ALICE.encode()).hexdigest()
    assert (receipt["messages"], receipt["expunged_messages"], receipt["letters"]) == (4, 2, 6)
    assert (receipt["files_removed"], receipt["files_that_others_have_too"]) == (5, 1)
    assert receipt["queue_letters_dropped"] == 1
    assert [one["what"] for one in receipt["stays"]] == ["lines in the host's journal", "backups made before"]
    (kept,) = (host.state / "receipts").iterdir()
    assert json.loads(kept.read_text()) == receipt
    left = every_byte(host.state)
    for trace in (ALICE.encode(), b"the second", b"odd.name", b"not yet out"):
        assert trace not in left
    assert LETTER in left  # Bob's
    assert not [path for path in host.state.rglob("*") if "alice" in str(path)]
    assert host.run("store", "check", with_settings=False).status == 0
    assert host.run("erase", ALICE, "--yes").status == 2


def test_an_account_of_the_spec_or_under_hold_is_not_erased(host: Host) -> None:
    ran = host.run("erase", ALICE, "--yes")
    assert (ran.status, "the spec still has" in ran.err) == (2, True)
    host.write_settings(accounts={ALICE: AccountSettings(quota_bytes=0, hold=True)})

    async def look(store: EmbeddedStore) -> None:
        await store.account(ALICE)

    host.work(look)
    host.write_settings(accounts={BOB: AccountSettings(quota_bytes=0)}, addresses={})
    assert host.run("erase", ALICE).status == 2
    ran = host.run("erase", ALICE, "--yes")
    assert (ran.status, "legal hold" in ran.err) == (2, True)
    assert host.run("export", ALICE, host.state.parent / "a.tar.gz", "--without-log").status == 0


def test_an_account_in_use_is_erased_later(host: Host) -> None:
    host.write_settings(accounts={BOB: AccountSettings(quota_bytes=0)}, addresses={})

    async def serve(store: EmbeddedStore) -> Ran:
        await store.account(ALICE)
        await (await store.account(ALICE)).list_mailboxes()
        return await asyncio.to_thread(host.run, "erase", ALICE, "--yes")

    ran = host.work(serve)
    assert (ran.status, "has the account open" in ran.err) == (75, True)
    assert host.run("erase", ALICE, "--yes").status == 0


def test_sessions_of_the_running_server_hear_of_what_came_back(host: Host, tmp_path: Path) -> None:
    async def listen(_: EmbeddedStore) -> set[str]:
        heard: set[str] = set()
        bus = Bus(tmp_path, "worker", lambda account, _: heard.add(account))
        ran = await asyncio.to_thread(
            host.run, "undelete", ALICE, "--all", "--runtime", tmp_path, with_settings=False
        )
        assert ran.status == 0
        await asyncio.sleep(0.05)
        bus.close()
        return heard

    assert host.work(listen) == {ALICE}
