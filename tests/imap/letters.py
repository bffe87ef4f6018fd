"""Letters that the transcripts name."""

from __future__ import annotations


def _letter(text: str) -> bytes:
    return text.strip("\n").replace("\n", "\r\n").encode()


LETTERS: dict[str, bytes] = {
    "plain": _letter("""
Date: Wed, 17 Jul 1996 02:23:25 -0700
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
Cc: minutes@CNRI.Reston.VA.US,
 "John Klensin" <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

Hello world,
this is the body.

"""),
    "multi": _letter("""
From: =?utf-8?q?J=C3=BCrgen?= <jue@example.test>
To: undisclosed-recipients:;
Subject: =?utf-8?b?R3LDvMOfZQ==?=
Date: Sun, 1 Mar 2026 23:30:00 +0100
Message-ID: <multi@example.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

SGFsbG8gV2VsdAo=
--outer
Content-Type: application/octet-stream; name="a.bin"
Content-Disposition: attachment; filename="a.bin"
Content-Transfer-Encoding: base64

AAEC
--outer
Content-Type: message/rfc822

Subject: inner
From: inner@example.test
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain

plain inner
--inner
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<p>caf=C3=A9</p>
--inner--

--outer--
"""),
    "bare": b"Subject: bare\r\n\r\n",
    "empty": b"no header at all",
    "tiny": b"From: a@b.test\r\nTo: c@d.test\r\nSubject: tiny\r\n\r\nx\r\n",
}
