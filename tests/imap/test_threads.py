"""THREAD's algorithms: RFC 5256 §3 and its rules one by one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.imap.digest import derive
from mailserver_py.imap.threads import (
    ALGORITHMS,
    Member,
    serialize_thread,
    thread_by_references,
    thread_by_references_only,
    thread_by_subject,
)


def members(*rows: tuple[str, str, str]) -> list[Member]:
    """(subject, message-id, references) of messages that came in this order."""
    return [
        Member(number, number * 10, number * 10, subject, own, references.split())
        for number, (subject, own, references) in enumerate(rows, 1)
    ]


def show(trees: object) -> str:
    assert isinstance(trees, list)
    return b"".join(map(serialize_thread, trees)).decode()


@pytest.mark.parametrize(
    ("rows", "threads"),
    [
        ([("a", "1", ""), ("Re: a", "2", "1"), ("Re: a", "3", "1 2")], "(1 2 3)"),
        ([("a", "1", ""), ("b", "2", "1"), ("c", "3", "1")], "(1 (2)(3))"),
        ([("b", "2", "1"), ("c", "3", "1")], "((1)(2))"),
        ([("b", "3", "1 2")], "(1)"),
        ([("x", "5", "1 2"), ("y", "6", "1 2"), ("z", "7", "1")], "((1)(2)(3))"),
        ([("a", "1", "2"), ("b", "2", "1")], "(2 1)"),
        ([("a", "1", "1")], "(1)"),
        ([("a", "1", ""), ("b", "1", ""), ("c", "", "1")], "(1 3)(2)"),
        ([("Re: b", "2", "1"), ("b", "1", "")], "(2 1)"),
        ([("a", "", ""), ("Re: a", "", "")], "(1 2)"),
        ([("Re: a", "", ""), ("a", "", "")], "(2 1)"),
        ([("a", "", ""), ("a", "", "")], "((1)(2))"),
        ([("a", "", ""), ("a", "", ""), ("Re: a", "", "")], "((1)(2)(3))"),
        ([("", "", ""), ("", "", "")], "(1)(2)"),
    ],
    ids=[
        "chain", "siblings", "missing-parent", "missing-ancestors", "missing-levels", "circle", "itself",
        "same-id", "child-first", "answer-by-subject", "answer-first", "same-subject", "answer-to-two", "no-subject",
    ],
)  # fmt: skip
def test_references_relate_messages_as_the_rules_say(rows: list[tuple[str, str, str]], threads: str) -> None:
    assert show(thread_by_references(members(*rows))) == threads


def test_refs_does_not_join_by_subject_and_puts_the_newest_thread_last() -> None:
    rows = members(("a", "1", ""), ("a", "2", ""), ("b", "3", "1"))
    assert show(thread_by_references_only(rows)) == "(2)(1 3)"


def test_ordered_subject_has_one_level() -> None:
    rows = members(("b", "", ""), ("Re: a", "", ""), ("Fwd: B", "", ""), ("b (fwd)", "", ""), ("a", "", ""))
    assert show(thread_by_subject(rows)) == "(1 (3)(4))(2 5)"


NAMES = st.sampled_from(["", "1", "2", "3", "4", "5", "6"])
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "Re: a", "b", "[x] Re: b (fwd)"]),
        NAMES,
        st.lists(NAMES, max_size=5).map(" ".join),
    ),
    max_size=12,
)


@given(ROWS, st.sampled_from(sorted(ALGORITHMS)))
def test_every_message_is_in_one_thread_once(rows: list[tuple[str, str, str]], name: bytes) -> None:
    text = show(ALGORITHMS[name](members(*rows)))
    numbers = sorted(int(word) for word in text.replace("(", " ").replace(")", " ").split())
    assert numbers == list(range(1, len(rows) + 1))
    assert text.count("(") == text.count(")")


def test_a_very_deep_thread_takes_no_recursion_and_little_time() -> None:
    count = 5_000
    rows = [("x", str(n), f"{n - 2} {n - 1}") for n in range(1, count)]
    start = time.perf_counter()
    assert show(thread_by_references(members(*rows))).count("(") == 1
    assert time.perf_counter() - start < 20


def test_the_digest_keeps_the_letters_own_id_and_its_ancestors() -> None:
    letter = b"Message-ID: <own@x>\r\nReferences: <a@x> junk\r\n <b@x>\r\nIn-Reply-To: <c@x>\r\n\r\n"
    assert derive(letter).thread_ids == "own@x\na@x b@x"
    assert derive(b"In-Reply-To: <c@x> <d@x>\r\n\r\n").thread_ids == "\nc@x"
    assert derive(b"\r\n").thread_ids == "\n"
