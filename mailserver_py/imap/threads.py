"""Threads: RFC 5256 §3, the algorithms ORDEREDSUBJECT and REFERENCES, and REFS, which is REFERENCES without merging by
subject, newest thread last. Pure; nothing recurses, since threads of real mailing lists are deep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .collation import casemap
from .order import reduce_subject


@dataclass(frozen=True, slots=True)
class Member:
    """A message as threading sees it."""

    number: int
    """What the client is told, ascending with the place in the mailbox."""
    sent_at_s: int
    received_at_s: int
    subject: str
    message_id: str
    references: Sequence[str]
    """Oldest ancestor first."""


@dataclass(slots=True)
class Tree:
    """A message with what answers it; without a member, a message that is not there."""

    member: Member | None = None
    parent: Tree | None = None
    children: list[Tree] = field(default_factory=list)

    def date(self) -> tuple[int, int]:
        """What siblings are sorted by; of a missing message its first child's (§3, step 4)."""
        tree = self
        while tree.member is None and tree.children:
            tree = tree.children[0]
        return (tree.member.sent_at_s, tree.member.number) if tree.member else (0, 0)

    def subject(self) -> tuple[str, bool]:
        """Base subject, and whether it is an answer's; of a missing message its first child's."""
        tree = self
        while tree.member is None and tree.children:
            tree = tree.children[0]
        if tree.member is None:
            return "", False
        base, answer = reduce_subject(tree.member.subject)
        return casemap(base), answer

    def newest(self) -> int:
        """When the newest message of the thread arrived."""
        latest_at_s, waiting = 0, [self]
        while waiting:
            tree = waiting.pop()
            if tree.member is not None:
                latest_at_s = max(latest_at_s, tree.member.received_at_s)
            waiting.extend(tree.children)
        return latest_at_s


def thread_by_subject(members: Sequence[Member]) -> list[Tree]:
    """ORDEREDSUBJECT: one thread for each base subject, by date; the first message's children are all the others."""
    groups: dict[str, list[Member]] = {}
    for member in sorted(members, key=lambda one: (one.sent_at_s, one.number)):
        groups.setdefault(casemap(reduce_subject(member.subject)[0]), []).append(member)
    return [Tree(first, children=[Tree(one) for one in rest]) for first, *rest in groups.values()]


def _link(trees: dict[str, Tree], members: Iterable[Member]) -> list[Tree]:
    """Step 1: who answers whom; every tree there is."""
    every: list[Tree] = []
    for member in members:
        tree = trees.get(member.message_id) if member.message_id else None
        if tree is None or tree.member is not None:
            # Missing and repeated Message-IDs count as ids of their own.
            tree = Tree()
            every.append(tree)
            if member.message_id and member.message_id not in trees:
                trees[member.message_id] = tree
        tree.member = member
        previous: Tree | None = None
        for name in member.references:
            reference = trees.get(name)
            if reference is None:
                reference = trees[name] = Tree()
                every.append(reference)
            if previous is not None and reference.parent is None:
                _adopt(previous, reference)
            previous = reference
        if tree.parent is not None:
            tree.parent.children.remove(tree)
            tree.parent = None
        if previous is not None:
            _adopt(previous, tree)
    return every


def _adopt(parent: Tree, child: Tree) -> None:
    """Makes it a child, unless that closed a circle."""
    above: Tree | None = parent
    while above is not None:
        if above is child:
            return
        above = above.parent
    child.parent = parent
    parent.children.append(child)


def _prune(roots: list[Tree]) -> list[Tree]:
    """Step 3: missing messages go; their children take their place, at the root only when there is one child."""
    order: list[Tree] = []
    waiting = list(roots)
    while waiting:
        tree = waiting.pop()
        order.append(tree)
        waiting.extend(tree.children)
    for tree in reversed(order):
        kept: list[Tree] = []
        for child in tree.children:
            kept.extend([child] if child.member is not None else child.children)
        tree.children = kept
    found: list[Tree] = []
    for tree in roots:
        if tree.member is not None or len(tree.children) > 1:
            found.append(tree)
        else:
            found.extend(tree.children)
    return found


def _sort(roots: list[Tree], key: Callable[[Tree], tuple[int, int]]) -> None:
    """Steps 4 and 6, from the leaves up, since a missing message has its first child's date."""
    order: list[Tree] = []
    waiting = list(roots)
    while waiting:
        tree = waiting.pop()
        order.append(tree)
        waiting.extend(tree.children)
    for tree in reversed(order):
        tree.children.sort(key=Tree.date)
    roots.sort(key=key)


def _merge(roots: list[Tree]) -> list[Tree]:
    """Step 5: threads of one base subject become one."""
    table: dict[str, Tree] = {}
    for tree in roots:
        base, answer = tree.subject()
        if not base:
            continue
        other = table.get(base)
        if (
            other is None
            or (tree.member is None and other.member is not None)
            or (other.member is not None and other.subject()[1] and not answer)
        ):
            table[base] = tree
    merged: list[Tree] = []
    for tree in roots:
        base, answer = tree.subject()
        other = table.get(base) if base else None
        if other is None or other is tree:
            merged.append(tree)
        elif other.member is None and tree.member is None:
            other.children.extend(tree.children)
        elif other.member is None or (answer and not other.subject()[1]):
            other.children.append(tree)
        else:
            both = Tree(children=[other, tree])
            merged = [both if one is other else one for one in merged]
            if both not in merged:
                merged.append(both)
            table[base] = both
    return [tree for tree in merged if tree is not None]


def thread_by_references(members: Sequence[Member]) -> list[Tree]:
    """REFERENCES."""
    trees: dict[str, Tree] = {}
    roots = _prune([tree for tree in _link(trees, members) if tree.parent is None])
    _sort(roots, Tree.date)
    roots = _merge(roots)
    _sort(roots, Tree.date)
    return roots


def thread_by_references_only(members: Sequence[Member]) -> list[Tree]:
    """REFS."""
    trees: dict[str, Tree] = {}
    roots = _prune([tree for tree in _link(trees, members) if tree.parent is None])
    _sort(roots, lambda tree: (tree.newest(), tree.date()[1]))
    return roots


ALGORITHMS: dict[bytes, Callable[[Sequence[Member]], list[Tree]]] = {
    b"ORDEREDSUBJECT": thread_by_subject,
    b"REFERENCES": thread_by_references,
    b"REFS": thread_by_references_only,
}


def serialize_thread(root: Tree) -> bytes:
    """`(3 6 (4 23)(44 7 96))` (RFC 5256 §4)."""
    pieces: list[bytes] = []
    waiting: list[Tree | bytes] = [b")", root, b"("]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, bytes):
            pieces.append(tree)
            continue
        if tree.member is not None:
            pieces.append(b"%d" % tree.member.number)
            if tree.children:
                pieces.append(b" ")
        if len(tree.children) == 1:
            waiting.append(tree.children[0])
        else:
            for child in reversed(tree.children):
                waiting += (b")", child, b"(")
    return b"".join(pieces)
