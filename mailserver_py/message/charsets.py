"""Octets of a named charset to text, without ever failing: RFC 2045 §6, RFC 2046 §4.1.2, as mail uses them.

Charset names come from strangers. They are looked up in a closed table, never in Python's codec registry:
that would import modules by name, remember every name it was asked for, and offer codecs that are no
charsets.
"""

from __future__ import annotations

import codecs
from encodings.aliases import aliases
from types import MappingProxyType

SLICE_BYTES = 65_536
"""How much of a broken text is decoded before it is judged; few letters' texts are longer."""

_CHARSETS = (
    "utf_8",
    "utf_8_sig",
    "utf_16",
    "utf_16_le",
    "utf_16_be",
    "utf_32",
    "utf_32_le",
    "utf_32_be",
    "utf_7",
    "iso8859_2",
    "iso8859_3",
    "iso8859_4",
    "iso8859_5",
    "iso8859_6",
    "iso8859_7",
    "iso8859_8",
    "iso8859_9",
    "iso8859_10",
    "iso8859_11",
    "iso8859_13",
    "iso8859_14",
    "iso8859_15",
    "iso8859_16",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "cp1258",
    "cp437",
    "cp850",
    "cp852",
    "cp855",
    "cp857",
    "cp858",
    "cp862",
    "cp866",
    "cp874",
    "koi8_r",
    "koi8_u",
    "koi8_t",
    "kz1048",
    "ptcp154",
    "mac_roman",
    "mac_cyrillic",
    "mac_greek",
    "mac_latin2",
    "mac_turkish",
    "gb18030",
    "gbk",
    "gb2312",
    "hz",
    "big5",
    "big5hkscs",
    "cp950",
    "euc_jp",
    "euc_jis_2004",
    "shift_jis",
    "shift_jis_2004",
    "cp932",
    "iso2022_jp",
    "iso2022_jp_1",
    "iso2022_jp_2",
    "iso2022_jp_2004",
    "iso2022_jp_3",
    "iso2022_jp_ext",
    "iso2022_kr",
    "euc_kr",
    "cp949",
    "johab",
    "tis_620",
)

_MEANT = {
    "ascii": "utf_8",
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "iso8859_9": "cp1254",
    "utf_8_sig": "utf_8",
}
"""The charset that senders mean by the name: its superset, as the WHATWG Encoding Standard §4.2 has it."""

_SPELLINGS = {
    "x_sjis": "cp932",
    "ms_kanji": "cp932",
    "windows_31j": "cp932",
    "x_gbk": "gb18030",
    "gb_2312_80": "gb18030",
    "chinese": "gb18030",
    "x_mac_cyrillic": "mac_cyrillic",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
    "x_euc_jp": "euc_jp",
    "x_big5": "big5",
    "unicode_1_1_utf_7": "utf_7",
    "x_unicode_2_0_utf_7": "utf_7",
    "ks_c_5601_1987": "cp949",
    "iso_8859_8_i": "iso8859_8",
    "x_unknown": "utf_8",
    "unknown": "utf_8",
    "unknown_8bit": "utf_8",
    "default": "utf_8",
    "": "utf_8",
}
"""Names that Python does not know."""


def _canonical(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_").replace(" ", "_")


def _table() -> dict[str, str]:
    known = {name for name in _CHARSETS if _exists(name)}
    table = {name: _MEANT.get(name, name) for name in known}
    for alias, name in aliases.items():
        if name in known or name in _MEANT:
            table[_canonical(alias)] = _MEANT.get(name, name)
    for name in known:
        if name.startswith("iso8859_"):
            table[name.replace("iso8859_", "iso_8859_")] = table[name]
        if name.startswith("cp12"):
            table[name.replace("cp", "windows_")] = table[name]
    table |= _MEANT
    table |= {spelling: name for spelling, name in _SPELLINGS.items() if name == "utf_8" or name in known}
    return table


def _exists(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


_NOT_ASCII = bytes(range(0x80, 0x100))
_CODECS = MappingProxyType(_table())


def codec_name(charset: bytes | str) -> str | None:
    """Python's codec for a charset's name as mail spells it; None for one that we do not know."""
    text = charset.decode("ascii", "replace") if isinstance(charset, bytes) else charset
    return _CODECS.get(_canonical(text.strip(" \t\"'")))


def decode_charset(data: bytes, charset: bytes | str) -> str:
    """Text, with U+FFFD for what is no character of the charset; an unknown charset is guessed."""
    codec = codec_name(charset)
    if codec is None or codec == "utf_8":
        return decode_guess(data)
    if codec in ("utf_16", "utf_32") and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        # RFC 2781 §4.3: without a byte order mark it is big-endian; Python would take this machine's order.
        codec += "_be"
    return _decode(data, codec)


def decode_guess(data: bytes) -> str:
    """UTF-8 when it is, or nearly is; else Windows-1252: what undeclared octets in mail nearly always are."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = _decode(data, "utf-8")
    # Cut off or slightly hurt UTF-8 has far more characters than broken octets; other charsets have none.
    other_count = len(text) - len(data.translate(None, _NOT_ASCII))
    return text if text.count("\ufffd") * 4 <= other_count else _decode(data, "cp1252")


def _decode(data: bytes, codec: str) -> str:
    """As `data.decode(codec, "replace")`, but text that is mostly no text of the charset stops being tried.

    A replacement costs a hundred times what a character does: 25 MB of them would hold the process for 12 s.
    """
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        if len(data) <= SLICE_BYTES:
            return data.decode(codec, "replace")
    decoder = codecs.getincrementaldecoder(codec)("replace")
    pieces: list[str] = []
    for at in range(0, len(data), SLICE_BYTES):
        piece = decoder.decode(data[at : at + SLICE_BYTES], at + SLICE_BYTES >= len(data))
        pieces.append(piece)
        if piece.count("\ufffd") > SLICE_BYTES // 8:
            pieces.append(data[at + SLICE_BYTES :].decode("latin-1"))
            break
    return "".join(pieces)
