"""A deployed site is well: seen from outside, from its own host, and by a letter that a stranger's tool sends."""

from __future__ import annotations

import re
import secrets
import time

import pytest

from mailserver_py.lab import stranger
from mailserver_py.lab.commands import run
from mailserver_py.lab.names import NAMESPACES
from mailserver_py.verify.checks import CHECKS

from .standing import ALICE, Standing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

OUTSIDE = [check.name for check in CHECKS if check.name != "host"]


def test_everything_is_well_from_outside(mail_host: Standing) -> None:
    began = time.monotonic()
    look = mail_host.verify()
    print(f"verification: {time.monotonic() - began:.1f} s")
    assert (look.status, look.findings) == (0, [])
    assert look.ran == OUTSIDE


def test_everything_is_well_by_the_hosts_own_timer_and_status_says_so(mail_host: Standing) -> None:
    look = mail_host.verify_on_host()
    assert (look.status, look.findings) == (0, [])
    assert look.ran == [*OUTSIDE, "host"]


def test_the_strangers_letter_by_swaks_is_read_by_curl(mail_host: Standing) -> None:
    token = f"swaks{secrets.token_hex(8)}"
    sender, address = f"carol@{stranger.DOMAIN}", str(mail_host.host.plan.address)
    swaks = ["swaks", "--server", address, "--helo", stranger.MX, "--tls", "--from", sender, "--to", ALICE]
    # From the stranger's addresses, by this machine's program.
    network = f"--net={NAMESPACES / mail_host.lab.stranger.host.id}"
    said = run(["nsenter", network, *swaks, "--header", f"Subject: {token}", "--body", "Hello, Alice!"])
    assert re.search(r"<~\s+250 2\.0\.0", said), said
    inbox = f"imaps://{mail_host.name}/INBOX"
    curl = ["curl", "--silent", "--fail", "--user", f"{ALICE}:{mail_host.password(ALICE)}"]
    found = mail_host.lab.run(*curl, inbox, "--request", f"UID SEARCH SUBJECT {token}")
    uid = found.split()[-1]
    letter = mail_host.lab.run(*curl, f"{inbox};UID={uid}")
    assert "Hello, Alice!" in letter
    assert re.search(r"^Authentication-Results: .*?\bspf=pass\b", letter, re.MULTILINE | re.DOTALL)
    assert letter.startswith(f"Return-Path: <{sender}>")
