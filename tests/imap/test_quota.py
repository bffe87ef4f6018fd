"""The resources that GETQUOTA names: RFC 9208 §5."""

from __future__ import annotations

import pytest

from mailserver_py.imap.commands.getquota import list_resources
from mailserver_py.mailstore.values import Usage


@pytest.mark.parametrize(
    ("usage", "resources"),
    [
        (Usage(1025, 3, 4097, 6), [b"STORAGE 2 4"]),
        (Usage(0, 3, 0, 6, 10, 20), [b"MESSAGE 3 10", b"MAILBOX 6 20"]),
        (Usage(10, 3, 0, 6), []),
    ],
    ids=["storage", "counts", "unlimited"],
)
def test_only_what_is_limited_is_named(usage: Usage, resources: list[bytes]) -> None:
    assert list_resources(usage) == resources
