"""The ledger finds each class of broken promise, and nothing in a clean run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .ledger import Answer, Boxes, Entry, Ledger, evaluate, load_entries

PROMISED, REFUSED, NONE = Answer.PROMISED, Answer.REFUSED, Answer.NONE


@pytest.mark.parametrize(
    ("answer", "copies", "sent_count", "classes"),
    [
        pytest.param(PROMISED, ["h"], 1, set(), id="promised and there"),
        pytest.param(PROMISED, [], 1, {"lost"}, id="promised and nowhere"),
        pytest.param(PROMISED, ["x"], 1, {"torn"}, id="other octets"),
        pytest.param(PROMISED, ["h", "h"], 1, {"dup"}, id="twice"),
        pytest.param(PROMISED, ["h", "h"], 2, set(), id="twice, but sent twice"),
        pytest.param(PROMISED, ["h", "h", "h"], 2, {"dup"}, id="more often than sent"),
        pytest.param(REFUSED, [], 1, set(), id="refused and not there"),
        pytest.param(REFUSED, ["h"], 1, {"ghost"}, id="refused and there"),
        pytest.param(NONE, [], 1, set(), id="unanswered and not there"),
        pytest.param(NONE, ["h"], 1, set(), id="unanswered and there"),
        pytest.param(NONE, ["h", "h"], 1, {"dup"}, id="unanswered and twice"),
    ],
)
def test_each_fate_has_its_class(
    answer: Answer, copies: list[str], sent_count: int, classes: set[str]
) -> None:
    verdict = evaluate({"a": Entry("a", "h", answer, sent_count)}, {"a": copies})
    assert {name for name in ("lost", "torn", "ghost", "dup") if getattr(verdict, name)} == classes
    assert verdict.is_clean == (not classes)


def test_a_letter_nobody_sent_is_a_ghost() -> None:
    assert evaluate({}, {"x": ["h"]}).ghost == ["x"]


def test_a_letter_due_in_two_places_is_lost_when_one_lacks_it() -> None:
    verdict = evaluate({"a": Entry("a", "h", PROMISED)}, {"a": ["h"]}, places=2)
    assert verdict.lost == ["a"]


def test_a_ledger_is_read_back_without_its_torn_last_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "one")
    ledger.sending("a", "h1")
    ledger.answered("a", PROMISED)
    ledger.sending("b", "h2")
    ledger.close()
    with (tmp_path / "one").open("ab") as file:
        file.write(b'{"kind": "answ')
    entries = load_entries([tmp_path / "one"])
    assert [(e.identity, e.answer) for e in entries.values()] == [("a", PROMISED), ("b", NONE)]


def test_a_refused_letter_sent_again_is_open_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "one")
    ledger.sending("a", "h")
    ledger.answered("a", REFUSED)
    ledger.sending("a", "h")
    ledger.close()
    (entry,) = load_entries([tmp_path / "one"]).values()
    assert (entry.answer, entry.sent_count) == (NONE, 2)


def test_boxes_are_replayed() -> None:
    boxes = Boxes()
    boxes.play({"op": "append", "mailbox": "a", "uids": [1, 2], "hashes": ["x", "y"]})
    boxes.play({"op": "flags", "mailbox": "a", "uids": [2], "flags": 4})
    boxes.play({"op": "move", "mailbox": "a", "target": "b", "uids": [2], "new_uids": [7]})
    boxes.play({"op": "expunge", "mailbox": "a", "uids": [1]})
    assert boxes.as_plain() == {"b": {7: ("y", 4)}}
