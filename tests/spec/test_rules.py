"""One contradiction per row: the rule that sees it, where it points, and its cure."""

from pathlib import Path

import pytest

from mailserver_py.spec.rules import FILE_RULES, RULES
from tests.spec.sites import SMALLEST, findings_of, spec_of

AGE = "age1zafewgrljlw0zs0zljys0cyfr4uxrgvt7x9w0m4x6vz8u7tq7s6s0n9rm2"

CASES = {
    "account-in-undeclared-domain": ("accounts:\n  bob@example.com:\n", "did you mean bob@example.org?"),
    "group-in-undeclared-domain": (
        "groups:\n  all@other.net: {members: [alice@example.org]}\n",
        "add `other.net:`",
    ),
    "alias-of-two": (
        "accounts:\n  bob@example.org: {aliases: [alice@example.org]}\n",
        "a group reaches several",
    ),
    "group-named-as-account": ("groups:\n  alice@example.org: {members: [x@a.net]}\n", "keep one"),
    "group-of-itself": (
        "groups:\n  all@example.org: {members: [all@example.org, x@a.net]}\n",
        "take one of them out",
    ),
    "member-misspelt": (
        "groups:\n  all@example.org: {members: [alcie@example.org]}\n",
        "did you mean alice@example.org?",
    ),
    "postmaster-misspelt": ("postmaster: alcie@example.org\n", "did you mean alice@example.org?"),
    "verification-in-a-person": ("verification: {account: alice@example.org}\n", "an address of its own"),
    "account-named-as-path": ("accounts:\n  a/b@example.org:\n", "make this address an alias"),
    "control-in-a-name": ('accounts:\n  bob@example.org: {display_name: "a\\u001bb"}\n', "type it anew"),
    "every-door-closed": (
        "listeners: {smtp: no, submissions: no, submission: no, imaps: no, pop3s: no}\n",
        "open at least",
    ),
    "files-without-file": ("tls: {source: files}\n", "certificate: chain.pem"),
    "file-without-files": ("tls: {certificate: chain.pem}\n", "write `source: files`"),
    "terms-refused": ("tls: {acme: {agree_to_terms: false}}\n", "agree"),
    "directory-in-clear": ("tls: {acme: {directory: 'http://acme.example'}}\n", "https://"),
    "rfc2136-without-server": ("dns: {publish: rfc2136}\n", "rfc2136: {server"),
    "server-by-name": ("dns: {rfc2136: {server: ns.example.org, key_name: k}}\n", "192.0.2.53"),
    "server-with-bad-port": ("dns: {rfc2136: {server: '192.0.2.1:99999', key_name: k}}\n", "192.0.2.53"),
    "key-without-name": ("dns: {rfc2136: {server: 192.0.2.1, key_name: ' '}}\n", "server's configuration"),
    "resolver-by-name": ("dns: {resolver: resolver.example}\n", "192.0.2.53"),
    "ttl-too-short": ("dns: {ttl: 5s}\n", "`1h` is usual"),
    "ttl-too-long": ("dns: {ttl: 30d}\n", "`1h` is usual"),
    "letters-too-small": ("limits: {message_size: 1 KiB}\n", "64 KiB"),
    "account-below-a-letter": ("limits: {account_quota: 1 MiB}\n", "raise it"),
    "quota-below-a-letter": ("accounts:\n  b@example.org: {quota: 1 MiB}\n", "at least 25 MiB"),
    "no-retry": ("queue: {retry: []}\n", "remove `retry:`"),
    "retry-hammers": ("queue: {retry: [5s]}\n", "at least `1min`"),
    "gives-up-at-once": ("queue: {give_up: 1min}\n", "`5d` is usual"),
    "trash-for-no-time": ("retention: {trash: 0d}\n", "30d"),
    "verification-too-often": ("verification: {every: 1s}\n", "1h"),
    "recipient-is-secret": ("secrets: {recipients: [AGE-SECRET-KEY-1ABC]}\n", "`age1…`"),
    "recipient-is-damaged": (f"secrets: {{recipients: [{AGE[:-3]}]}}\n", "id_ed25519.pub"),
    "os-user-is-root": ("hosts:\n  mx1.example.org: {ipv4: 192.0.2.1, os_user: root}\n", "user of its own"),
    "no-address": ("hosts:\n  mx1.example.org: {}\n", "add `ipv4:`"),
    "private-address": ("hosts:\n  mx1.example.org: {ipv4: 10.1.2.3}\n", "network: private"),
    "loopback-address": ("hosts:\n  mx1.example.org: {ipv4: 127.0.0.1}\n", "network: private"),
    "private-ipv6": ("hosts:\n  mx1.example.org: {ipv6: 'fd00::1'}\n", "network: private"),
    "documentation-address": ("hosts:\n  mx1.real.net: {ipv4: 203.0.113.5}\n", "network: private"),
    "local-name": ("hosts:\n  mx1.home.arpa: {ipv4: 1.1.1.1}\n", "network: private"),
    "two-hosts-one-address": (
        "hosts:\n  mx1.example.org: {ipv4: 1.1.1.1}\n  mx2.example.org: {ipv4: 1.1.1.1}\n",
        "give each host its own",
    ),
    "nobody-takes-mail": ("hosts:\n  mx1.example.org: {ipv4: 1.1.1.1, roles: []}\n", "`mail` is the default"),
    "catch-all-to-nobody": ("domains:\n  example.org: {catch_all: xyz@example.org}\n", "add it to"),
    "catch-all-outside": ("domains:\n  example.org: {catch_all: me@a.net}\n", "forwards all spam"),
}

STRANGER = "verification: {stranger: {address: %s, smtp: '%s', imap: 'a.net:993', user: u}}\n"
CASES["stranger-is-ours"] = (STRANGER % ("x@example.org", "a.net:465"), "another provider")
CASES["stranger-without-port"] = (STRANGER % ("x@a.net", "a.net"), "mail.example.net:465")


def with_section(section: str) -> str:
    """The smallest spec with a section put in, or added to its own."""
    name, _, body = section.partition("\n")
    if name in ("domains:", "hosts:"):
        start = SMALLEST.index(name)
        following = {"domains:": "hosts:", "hosts:": "accounts:"}[name]
        return SMALLEST[:start] + section + SMALLEST[SMALLEST.index(following) :]
    if name == "accounts:":
        return SMALLEST + body
    return SMALLEST + section


@pytest.mark.parametrize("case", CASES)
def test_each_contradiction_is_one_finding_with_its_cure(case: str) -> None:
    section, cure = CASES[case]
    found = findings_of(with_section(section))
    assert len(found) == 1, found
    line, _, found_cure = found[0]
    assert line > 0
    assert cure in found_cure


def test_every_rule_is_on_the_menu_once_and_says_why() -> None:
    rules = [*RULES, *FILE_RULES]
    assert len(rules) == len(set(rules))
    assert all(rule.__doc__ for rule in rules)


def test_a_private_network_may_have_private_addresses_and_names() -> None:
    text = SMALLEST.replace("ipv4: 192.0.2.10", "ipv4: 10.88.0.10\n    network: private").replace(
        "example.org", "lab.test"
    )
    assert spec_of(text).hosts["mx1.lab.test"].network == "private"


def test_files_that_are_not_there_are_named_only_when_asked(tmp_path: Path) -> None:
    text = SMALLEST + "tls: {source: files, certificate: chain.pem}\n"
    assert findings_of(text, tmp_path) == []
    ((line, words, _),) = findings_of(text, tmp_path, files=True)
    assert (line, "chain.pem" in words) == (8, True)


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("hello")
    ((_, words, _),) = findings_of(
        SMALLEST + "tls: {source: files, certificate: chain.pem}\n", tmp_path, files=True
    )
    assert "no certificate chain" in words
