"""The store's contract and its engines. The contract's modules explain a failed assert like any test module."""

import pytest

pytest.register_assert_rewrite(
    "tests.mailstore.contract",
    "tests.mailstore.contract_mailboxes",
    "tests.mailstore.contract_messages",
    "tests.mailstore.contract_queue",
)
