"""Letters that we write ourselves: bounces, verification's test letters; RFC 5322, 2045, 2046, 6522, 3464.

Everything is a function of its arguments: dates, Message-IDs and trace ids come in as fields, and
boundaries are hashes of what they divide.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .fields import LINE_BYTES_LIMIT, UnsafeValue, parameters_text, serialize_field
from .header import find_header_end

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


@dataclass(frozen=True, slots=True)
class Content:
    """A body with the fields that describe it."""

    media_type: str
    data: bytes
    """Encoded, CRLF line ends."""
    encoding: str = "7bit"
    parameters: tuple[tuple[str, str], ...] = ()
    disposition: str = ""
    disposition_parameters: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The Content- fields."""
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise UnsafeValue("a media type has a character that none may have")
        fields = [("Content-Type", self.media_type + parameters_text(self.parameters))]
        if self.encoding != "7bit":
            fields.append(("Content-Transfer-Encoding", self.encoding))
        if self.disposition:
            disposition = self.disposition + parameters_text(self.disposition_parameters)
            fields.append(("Content-Disposition", disposition))
        return tuple(fields)


def serialize_letter(fields: Sequence[tuple[str, str]], body: str | Content, *, utf8: bool = False) -> bytes:
    """A whole letter, CRLF line ends. `fields` in their order; MIME's own are added. Raises UnsafeValue."""
    content = text_content(body) if isinstance(body, str) else body
    lines = [serialize_field(name, value, utf8=utf8) for name, value in fields]
    lines.append(b"MIME-Version: 1.0\r\n")
    return b"".join(lines) + _serialize_content(content)


def text_content(text: str, media_type: str = "text/plain") -> Content:
    """Text in UTF-8, as it is when every relay takes it so, else quoted-printable (RFC 2045 §6.7)."""
    data = _LINE_END.sub(b"\n", text.encode("utf-8", "replace"))
    if data and not data.endswith(b"\n"):
        data += b"\n"
    charset = "us-ascii" if data.isascii() else "utf-8"
    if data.isascii() and b"\0" not in data and _longest_line_bytes(data, b"\n") <= LINE_BYTES_LIMIT:
        encoding = "7bit"
    else:
        data, encoding = binascii.b2a_qp(data, istext=True), "quoted-printable"
    return Content(media_type, data.replace(b"\n", b"\r\n"), encoding, (("charset", charset),))


def attachment(data: bytes, media_type: str, file_name: str) -> Content:
    """Any octets, in base64."""
    lines = (binascii.b2a_base64(data[at : at + 57], newline=False) for at in range(0, len(data), 57))
    body = b"".join(line + b"\r\n" for line in lines)
    return Content(media_type, body, "base64", (), "attachment", (("filename", file_name),))


def letter_content(letter: bytes) -> Content:
    """A letter inside a letter: as it is, because nothing else is allowed (RFC 2046 §5.2.1).

    Bare CR and LF become CRLF. One that no relay takes as it is (NUL, over-long lines) becomes an attachment.
    """
    data = _LINE_END.sub(b"\r\n", letter)
    if b"\0" in data or _longest_line_bytes(data, b"\r\n") > LINE_BYTES_LIMIT:
        return attachment(letter, "application/octet-stream", "letter.eml")
    return Content("message/rfc822", data, "7bit" if data.isascii() else "8bit")


def header_content(letter: bytes) -> Content:
    """Only the header of a letter (RFC 6522 §4), for bounces."""
    whole = letter_content(letter[: find_header_end(letter)])
    if whole.media_type != "message/rfc822":
        return whole
    return Content("text/rfc822-headers", whole.data, whole.encoding)


def multipart(subtype: str, parts: Sequence[Content], parameters: Sequence[tuple[str, str]] = ()) -> Content:
    """Parts in one body (RFC 2046 §5.1). The boundary is a hash of the parts."""
    bodies = [_serialize_content(part) for part in parts]
    digest = hashlib.sha256()
    for body in bodies:
        digest.update(body)
    # Nobody can write the hash of a text into the text; and "=_" comes neither out of quoted-printable nor out of
    # base64 (RFC 2045 §6.7 rule 1, §6.8).
    boundary = f"=_{digest.hexdigest()[:32]}"
    delimiter = b"--" + boundary.encode()
    data = b"".join(delimiter + b"\r\n" + body + b"\r\n" for body in bodies) + delimiter + b"--\r\n"
    encoding = "8bit" if any(part.encoding == "8bit" for part in parts) else "7bit"
    return Content(f"multipart/{subtype}", data, encoding, (*parameters, ("boundary", boundary)))


def delivery_status(
    message: Sequence[tuple[str, str]], recipients: Sequence[Sequence[tuple[str, str]]]
) -> Content:
    """message/delivery-status (RFC 3464 §2.1): the fields of the letter, then a group for each recipient."""
    groups = [
        b"".join(serialize_field(name, value) for name, value in group) for group in (message, *recipients)
    ]
    return Content("message/delivery-status", b"\r\n".join(groups))


def report(text: str, status: Content, original: Content) -> Content:
    """multipart/report (RFC 6522 §3): for people, for programs, and what it is about."""
    kind = status.media_type.partition("/")[2]
    return multipart("report", (text_content(text), status, original), (("report-type", kind),))


def _serialize_content(content: Content) -> bytes:
    fields = b"".join(serialize_field(name, value) for name, value in content.fields)
    return fields + b"\r\n" + content.data


def _longest_line_bytes(data: bytes, line_end: bytes) -> int:
    return max(map(len, data.split(line_end)))
