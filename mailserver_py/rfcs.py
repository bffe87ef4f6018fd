"""The standards that the code obeys or cites: what we claim of each, and where.

The README's table is rendered from here, and `tests/test_house.py` holds it true: a citation of an RFC that has no
row fails, and so does a row whose rooms do not exist or do not cite it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["full", "partial", "cited", "absent"]
"""`full`: all that concerns a server like ours. `partial`: the note says what is missing. `cited`: one rule or fact
of it is used, nothing is claimed. `absent`: people ask for it, and it is not here yet."""


@dataclass(frozen=True, slots=True)
class Rfc:
    """One standard."""

    number: int
    title: str
    status: Status
    note: str = ""
    rooms: tuple[str, ...] = ()
    """Files or folders below `mailserver_py/`."""


MAIL = (
    Rfc(
        5321,
        "Simple Mail Transfer Protocol",
        "partial",
        "EXPN is refused; source routes are read and dropped",
        ("smtp", "daemon"),
    ),
    Rfc(1870, "SMTP: Message Size Declaration", "full", rooms=("smtp",)),
    Rfc(2034, "SMTP: Enhanced Error Codes", "full", rooms=("smtp",)),
    Rfc(2920, "SMTP: Command Pipelining", "full", rooms=("smtp",)),
    Rfc(3207, "SMTP over TLS (STARTTLS)", "full", rooms=("smtp",)),
    Rfc(
        4954,
        "SMTP: Authentication",
        "partial",
        "the AUTH parameter of MAIL is ignored",
        ("smtp",),
    ),
    Rfc(6152, "SMTP: 8-bit MIME Transport", "full", rooms=("smtp",)),
    Rfc(6409, "Message Submission", "full", rooms=("smtp",)),
    Rfc(6531, "SMTP: Internationalized Email", "full", rooms=("smtp",)),
    Rfc(3463, "Enhanced Mail System Status Codes", "full", rooms=("smtp", "daemon")),
    Rfc(
        3464, "Delivery Status Notifications", "partial", "failures; none on request (RFC 3461)", ("daemon",)
    ),
    Rfc(7505, "Null MX", "full", "honoured when sending", ("daemon",)),
    Rfc(5322, "Internet Message Format", "full", rooms=("message",)),
    Rfc(6532, "Internationalized Email Headers", "full", rooms=("message",)),
    Rfc(2045, "MIME: Format of Message Bodies", "full", rooms=("message",)),
    Rfc(2046, "MIME: Media Types", "full", rooms=("message",)),
    Rfc(2047, "MIME: Header Extensions for Non-ASCII Text", "full", rooms=("message",)),
    Rfc(2231, "MIME: Parameter Values and Encoded Words", "full", rooms=("message",)),
    Rfc(6522, "The multipart/report Media Type", "full", rooms=("message", "daemon")),
    Rfc(
        3834,
        "Automatic Responses to Electronic Mail",
        "partial",
        "we send no bounce to a bounce",
        ("daemon",),
    ),
    Rfc(2142, "Mailbox Names for Common Services", "partial", "postmaster and abuse", ("spec",)),
    Rfc(5233, "Sieve: Subaddress Extension", "partial", "the separator; no Sieve", ("spec", "daemon")),
    Rfc(8314, "Cleartext Considered Obsolete", "full", rooms=("spec", "zone")),
)
"""Letters and how they travel."""

ACCESS = (
    Rfc(9051, "IMAP4rev2", "full", rooms=("imap",)),
    Rfc(3501, "IMAP4rev1", "full", rooms=("imap",)),
    Rfc(2087, "IMAP: QUOTA (obsolete)", "cited", rooms=("imap",)),
    Rfc(9208, "IMAP: QUOTA", "full", "no SETQUOTA: quotas are set by the spec", ("imap",)),
    Rfc(2177, "IMAP: IDLE", "full", rooms=("imap",)),
    Rfc(2342, "IMAP: NAMESPACE", "full", rooms=("imap",)),
    Rfc(2971, "IMAP: ID", "full", rooms=("imap",)),
    Rfc(3502, "IMAP: MULTIAPPEND", "full", rooms=("imap",)),
    Rfc(3516, "IMAP: BINARY", "full", rooms=("imap",)),
    Rfc(3691, "IMAP: UNSELECT", "full", rooms=("imap",)),
    Rfc(4315, "IMAP: UIDPLUS", "full", rooms=("imap",)),
    Rfc(4466, "Collected Extensions to IMAP4 ABNF", "cited", rooms=("imap",)),
    Rfc(4467, "IMAP: URLAUTH", "absent"),
    Rfc(4469, "IMAP: CATENATE", "full", rooms=("imap",)),
    Rfc(5092, "IMAP URL Scheme", "partial", "URLs of messages, relative to the account", ("imap",)),
    Rfc(5550, "Lemonade Profile: URL-PARTIAL", "partial", "URL-PARTIAL in CATENATE", ("imap",)),
    Rfc(4731, "IMAP: ESEARCH", "full", rooms=("imap",)),
    Rfc(4959, "IMAP: SASL-IR", "full", rooms=("imap",)),
    Rfc(4978, "IMAP: COMPRESS", "full", "DEFLATE, after login", ("imap",)),
    Rfc(5032, "IMAP: WITHIN", "full", rooms=("imap",)),
    Rfc(5161, "IMAP: ENABLE", "full", rooms=("imap",)),
    Rfc(5182, "IMAP: SEARCHRES", "full", rooms=("imap",)),
    Rfc(5258, "IMAP: LIST-EXTENDED", "full", rooms=("imap",)),
    Rfc(5530, "IMAP: Response Codes", "full", rooms=("imap",)),
    Rfc(5819, "IMAP: LIST-STATUS", "full", rooms=("imap",)),
    Rfc(6154, "IMAP: SPECIAL-USE", "full", rooms=("imap",)),
    Rfc(6851, "IMAP: MOVE", "full", rooms=("imap",)),
    Rfc(6855, "IMAP: UTF-8", "full", rooms=("imap",)),
    Rfc(7162, "IMAP: CONDSTORE and QRESYNC", "full", rooms=("imap", "mailstore")),
    Rfc(7888, "IMAP: Non-synchronizing Literals", "full", rooms=("imap",)),
    Rfc(5256, "IMAP: SORT and THREAD", "full", "and the algorithm REFS", ("imap",)),
    Rfc(5255, "IMAP: Internationalization", "partial", "I18NLEVEL=1; one language", ("imap",)),
    Rfc(5267, "IMAP: ESORT and CONTEXT", "full", rooms=("imap",)),
    Rfc(5957, "IMAP: SORT=DISPLAY", "full", rooms=("imap",)),
    Rfc(
        9738,
        "IMAP: MESSAGELIMIT",
        "partial",
        "UIDAFTER and UIDBEFORE; no command has a limit to announce",
        ("imap",),
    ),
    Rfc(5465, "IMAP: NOTIFY", "absent", "its mailbox filters serve ESEARCH"),
    Rfc(7377, "IMAP: MULTISEARCH", "full", rooms=("imap",)),
    Rfc(9586, "IMAP: UIDONLY", "full", rooms=("imap",)),
    Rfc(9394, "IMAP: PARTIAL", "full", rooms=("imap",)),
    Rfc(8437, "IMAP: UNAUTHENTICATE", "full", rooms=("imap",)),
    Rfc(7889, "IMAP: APPENDLIMIT", "full", rooms=("imap",)),
    Rfc(8438, "IMAP: STATUS=SIZE", "full", rooms=("imap",)),
    Rfc(8457, 'IMAP: The "$Important" Keyword', "cited", rooms=("imap",)),
    Rfc(8474, "IMAP: OBJECTID", "full", rooms=("imap",)),
    Rfc(8508, "IMAP: REPLACE", "full", rooms=("imap", "mailstore")),
    Rfc(8514, "IMAP: SAVEDATE", "full", rooms=("imap", "mailstore")),
    Rfc(9585, "IMAP: INPROGRESS", "full", "for what reads letters: SEARCH, SORT", ("imap",)),
    Rfc(8970, "IMAP: PREVIEW", "full", rooms=("imap",)),
    Rfc(2180, "IMAP4 Multi-Accessed Mailbox Practice", "cited", rooms=("imap",)),
    Rfc(1939, "Post Office Protocol, Version 3", "full", rooms=("pop3",)),
    Rfc(2449, "POP3 Extension Mechanism", "full", rooms=("pop3",)),
    Rfc(2595, "TLS with IMAP, POP3 and ACAP (STLS)", "full", rooms=("pop3",)),
    Rfc(1734, "POP3 AUTHentication Command (obsolete)", "cited", rooms=("pop3",)),
    Rfc(5034, "POP3: SASL Authentication", "full", rooms=("pop3",)),
    Rfc(3206, "POP3: SYS and AUTH Response Codes", "full", rooms=("pop3",)),
    Rfc(6856, "POP3: UTF-8", "full", "LANG knows no language but ours", ("pop3",)),
    Rfc(
        4422,
        "Simple Authentication and Security Layer",
        "full",
        "EXTERNAL is not offered: no certificates of clients are asked for",
        ("wire",),
    ),
    Rfc(4616, "SASL: PLAIN", "full", rooms=("wire",)),
    Rfc(
        5802,
        "SASL: SCRAM",
        "full",
        "with SHA-256; -PLUS is announced in TLS 1.2, for TLS 1.3 it lacks `tls-exporter`",
        ("wire",),
    ),
    Rfc(7677, "SASL: SCRAM-SHA-256", "full", rooms=("wire",)),
    Rfc(5803, "LDAP Schema for Storing SCRAM Secrets", "cited", rooms=("wire",)),
    Rfc(4013, "SASLprep", "full", "for SCRAM", ("wire",)),
    Rfc(3454, "stringprep", "cited", rooms=("wire",)),
    Rfc(5929, "Channel Bindings for TLS", "full", rooms=("net",)),
    Rfc(7627, "TLS: Extended Master Secret", "cited", rooms=("net",)),
)
"""How people read their mail."""

TRUST = (
    Rfc(6376, "DomainKeys Identified Mail Signatures", "full", rooms=("senderauth",)),
    Rfc(8301, "DKIM: Algorithm and Key Usage Update", "full", rooms=("senderauth",)),
    Rfc(8463, "DKIM: Ed25519-SHA256", "full", rooms=("senderauth",)),
    Rfc(6008, "Authentication-Results for Differing Signatures", "full", rooms=("senderauth",)),
    Rfc(7208, "Sender Policy Framework", "full", rooms=("senderauth",)),
    Rfc(8601, "Message Header Field for Authentication Status", "full", rooms=("senderauth",)),
    Rfc(
        9989, "DMARC", "partial", "our record is published; received mail is not judged by it yet", ("zone",)
    ),
    Rfc(9990, "DMARC: Aggregate Reporting", "partial", "consent to reports; none are sent", ("zone",)),
    Rfc(8555, "Automatic Certificate Management Environment", "partial", "HTTP-01", ("daemon",)),
    Rfc(9773, "ACME: Renewal Information", "partial", "no `replaces` in orders", ("daemon",)),
    Rfc(9325, "Recommendations for Secure Use of TLS", "full", rooms=("net",)),
    Rfc(8446, "Transport Layer Security 1.3", "cited", rooms=("net",)),
    Rfc(9525, "Service Identity in TLS", "cited", rooms=("spec",)),
    Rfc(7435, "Opportunistic Security", "full", rooms=("daemon",)),
)
"""Who sent it, and who may read along."""

NAMES = (
    Rfc(1035, "Domain Names: Implementation and Specification", "cited", rooms=("zone",)),
    Rfc(2136, "Dynamic Updates in the Domain Name System", "full", "as a client", ("net", "zone")),
    Rfc(8945, "Secret Key Transaction Authentication for DNS", "full", "as a client, by dnspython", ("net",)),
    Rfc(5936, "DNS Zone Transfer Protocol (AXFR)", "full", "as a client, by dnspython", ("net",)),
    Rfc(2782, "DNS SRV", "full", rooms=("zone",)),
    Rfc(6186, "SRV Records for Email Submission and Access", "full", rooms=("zone",)),
    Rfc(
        5890,
        "Internationalized Domain Names: Definitions",
        "full",
        "A-labels, by the package idna",
        ("spec", "message"),
    ),
)
"""How it is found."""

CITED = (
    Rfc(1034, "Domain Names: Concepts and Facilities", "cited"),
    Rfc(1123, "Requirements for Internet Hosts", "cited"),
    Rfc(1951, "DEFLATE Compressed Data Format", "cited"),
    Rfc(1912, "Common DNS Operational and Configuration Errors", "cited"),
    Rfc(2181, "Clarifications to the DNS Specification", "cited"),
    Rfc(2606, "Reserved Top Level DNS Names", "cited"),
    Rfc(2781, "UTF-16", "cited"),
    Rfc(3461, "SMTP: Delivery Status Notifications", "absent", "no DSN on request"),
    Rfc(3596, "DNS Extensions to Support IPv6", "cited"),
    Rfc(3848, "ESMTP Transmission Types Registration", "cited"),
    Rfc(3849, "IPv6 Documentation Prefix", "cited"),
    Rfc(4509, "SHA-256 in DNSSEC DS Records", "cited"),
    Rfc(4862, "IPv6 Stateless Address Autoconfiguration", "cited"),
    Rfc(5051, "i;unicode-casemap Collation", "full", "for SEARCH, SORT and THREAD", ("imap",)),
    Rfc(5198, "Unicode Format for Network Interchange", "cited"),
    Rfc(5280, "X.509 Certificate Profile", "cited"),
    Rfc(5737, "IPv4 Documentation Blocks", "cited"),
    Rfc(5891, "Internationalized Domain Names: Protocol", "cited"),
    Rfc(6066, "TLS Extensions: Definitions", "cited"),
    Rfc(6177, "IPv6 Address Assignment to End Sites", "cited"),
    Rfc(6303, "Locally Served DNS Zones", "cited"),
    Rfc(6533, "Internationalized Delivery Status Notifications", "cited"),
    Rfc(6724, "Default Address Selection for IPv6", "cited"),
    Rfc(6761, "Special-Use Domain Names", "cited"),
    Rfc(6762, "Multicast DNS", "cited"),
    Rfc(6840, "Clarifications for DNSSEC", "cited"),
    Rfc(7301, "TLS: Application-Layer Protocol Negotiation", "cited"),
    Rfc(7504, "SMTP 521 and 556 Reply Codes", "cited"),
    Rfc(8375, "Special-Use Domain home.arpa", "cited"),
    Rfc(9110, "HTTP Semantics", "cited"),
    Rfc(9293, "Transmission Control Protocol", "cited"),
    Rfc(9637, "Expanding the IPv6 Documentation Space", "cited"),
)
"""One rule or fact of each is used."""

ABSENT = (
    Rfc(7628, "SASL: OAUTHBEARER", "absent", "the spec names no issuer of tokens to trust"),
    Rfc(9266, "Channel Bindings for TLS 1.3", "absent", "Python's `ssl` cannot compute `tls-exporter`"),
    Rfc(5228, "Sieve: An Email Filtering Language", "absent"),
    Rfc(7672, "SMTP Security via DANE TLS", "absent", "sending uses opportunistic TLS"),
    Rfc(8461, "SMTP MTA Strict Transport Security", "absent"),
    Rfc(8460, "SMTP TLS Reporting", "absent"),
    Rfc(8617, "Authenticated Received Chain", "absent"),
    Rfc(8620, "JSON Meta Application Protocol", "absent"),
)
"""What people ask for and what is not here yet."""

RFCS: tuple[Rfc, ...] = (*MAIL, *ACCESS, *TRUST, *NAMES, *CITED, *ABSENT)


def render_table(*statuses: Status) -> str:
    """Rows of a Markdown table, by number, for the README."""
    rows = sorted((rfc for rfc in RFCS if rfc.status in statuses), key=lambda rfc: rfc.number)
    lines = ["| RFC | Title | Status | Rooms |", "|---|---|---|---|"]
    for rfc in rows:
        note = f": {rfc.note}" if rfc.note else ""
        rooms = " ".join(f"`{room}/`" for room in rfc.rooms)
        lines.append(f"| {rfc.number} | {rfc.title} | {rfc.status}{note} | {rooms} |")
    return "\n".join(lines) + "\n"
