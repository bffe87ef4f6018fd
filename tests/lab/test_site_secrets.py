"""No secret is where somebody could read it: not in the deploy's output, a command line, a log, or an open file."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .standing import Standing

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

LEAST_CHARACTERS = 12
"""A line of a secret that is shorter may stand anywhere by chance."""

PLACES = ("/etc/credstore/mailserver/", "/var/lib/mailserver-tls/")
"""Where secrets have to lie on the host: for root, and the TLS key for the server's user."""

# Reads what every user of the host can read about every process, as fast as it can, until its input ends.
WATCH = """
import os, select, sys
seen = set()
print("watching", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file: seen.add(file.read())
        except OSError: pass
for line in seen: print(line.replace(b"\\0", b" ").decode("utf-8", "replace"))
"""


@contextmanager
def watched(site: Standing) -> Iterator[list[str]]:
    """Every command line that ran on the host while the block did, after it."""
    lines: list[str] = []
    command = site.host.inside(["python3", "-c", WATCH])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "watching\n"
        yield lines
        lines += child.communicate()[0].splitlines()


def canaries(site: Standing) -> dict[str, str]:
    """What must not be seen, and of which secret it is: each line of each, without what PEM adds.

    The stranger's password is none: it stands in the lab's source.
    """
    found: dict[str, str] = {}
    secrets = site.secrets
    del secrets["stranger"]
    for name, text in secrets.items():
        texts = json.loads(text).values() if text.startswith("{") else text.splitlines()
        for line in texts:
            if len(line) >= LEAST_CHARACTERS and not line.startswith("-----"):
                found[str(line)] = name
    return found


def spellings(canary: str) -> Iterator[str]:
    """As it is, and as it looks inside base64: there are three ways, by what stands before it."""
    yield canary
    octets = canary.encode()
    for before_count, cut_count in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(before_count) + octets).decode("ascii")
        # Without the characters that also hold bits of its neighbours.
        yield text[cut_count : (before_count + len(octets)) * 8 // 6]


def shown(site: Standing, text: str) -> set[str]:
    """The secrets of which something is in the text."""
    found = canaries(site).items()
    return {name for canary, name in found if any(spelled in text for spelled in spellings(canary))}


def test_a_secret_is_seen_through_base64_wherever_it_stands() -> None:
    for before_count in range(4):
        text = base64.b64encode(b"x" * before_count + b"a secret of somebody's, and more").decode()
        assert any(spelled in text for spelled in spellings("a secret of somebody's"))


def test_deploying_secrets_shows_none(one_host: Standing) -> None:
    one_host.sh("rm -r /etc/credstore/mailserver")
    with watched(one_host) as lines:
        dry = one_host.target.deploy("--dry", "--diff")
        run = one_host.target.deploy("-y", "-vvv")
    assert run.status == 0, run.text
    assert any("credstore" in line for line in lines), "the watch was blind"
    assert shown(one_host, "\n".join(lines)) == set()
    assert shown(one_host, one_host.first.text + dry.text + run.text) == set()


def test_the_journal_and_the_units_hold_none(one_host: Standing) -> None:
    journal = one_host.sh("journalctl --namespace='*' --no-pager --all --output export")
    assert "login.ok" in journal
    assert shown(one_host, journal) == set()
    units = one_host.sh(
        "systemctl show 'mailserver-*'; cat /etc/systemd/system/mailserver-* /etc/mailserver/*"
    )
    assert shown(one_host, units) == set()


def test_on_the_disk_they_lie_only_where_one_user_reads(one_host: Standing) -> None:
    patterns = "".join(f"{canary}\n" for canary in canaries(one_host))
    search = "grep --recursive --files-with-matches --fixed-strings --file=- /etc /opt /root /tmp /var /run/mailserver"
    found = one_host.host.attempt("sh", "-c", search, stdin=patterns).stdout.split()
    assert [path for path in found if not path.startswith(PLACES)] == []
    modes = one_host.host.run("stat", "--format", "%a", *found).split()
    assert set(modes) == {"600"}
    assert len(found) >= len(PLACES)
