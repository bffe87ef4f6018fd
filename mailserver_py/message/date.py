"""Dates of letters: RFC 5322 §3.3, and the obsolete and broken forms that §4.3 and real mail have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from .header import unfold
from .tokens import strip_comments

VALUE_BYTES_LIMIT = 256
"""How much of a Date field is looked at; the longest real ones, with a zone comment, have about 60 octets."""

_MONTHS = {
    name: number
    for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)
}
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONE_HOURS = {
    b"ut": 0, b"gmt": 0, b"utc": 0, b"z": 0,
    b"est": -5, b"edt": -4, b"cst": -6, b"cdt": -5, b"mst": -7, b"mdt": -6, b"pst": -8, b"pdt": -7,
}  # fmt: skip
"""§4.3's names; all others, the military letters too, say nothing reliable and count as UTC."""

_DATE = re.compile(
    rb"\s*(?:[A-Za-z]{2,9}\.?\s*,?\s*)?(\d{1,2})[\s\-]+([A-Za-z]{3})[A-Za-z]{0,6}\.?[\s\-,]+(\d{2,4})[\s,]+"
    rb"(\d{1,2})\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2}))?(?:\.\d+)?\s*"
    rb"(?:([+\-]?)(\d\d):?(\d\d)(?!\d)|([A-Za-z]{1,5}))?"
)
_ASCTIME = re.compile(rb"\s*[A-Za-z]{3}\s+([A-Za-z]{3})\s+(\d{1,2})\s+(\d\d:\d\d:\d\d)\s+(\d{4})")
"""C's asctime, which some programs take for a date of mail."""


def parse_date(raw: bytes) -> datetime | None:
    """The instant with its own offset, or None when there is none to be read. Never raises."""
    value = strip_comments(unfold(raw[:VALUE_BYTES_LIMIT]))
    match = _DATE.match(value) or _DATE.match(_ASCTIME.sub(rb"\2 \1 \4 \3", value))
    if match is None:
        return None
    day, month_name, year_text, hour, minute, second, sign, zone_h, zone_min, zone_name = match.groups()
    month = _MONTHS.get(month_name.lower())
    year = int(year_text)
    if len(year_text) == 2:
        year += 2000 if year < 50 else 1900
    elif len(year_text) == 3:
        year += 1900
    if month is None or year < 1900:
        return None
    if zone_h is not None:
        offset = timedelta(hours=int(zone_h), minutes=int(zone_min))
        offset = -offset if sign == b"-" else offset
        if abs(offset) >= timedelta(hours=24):
            offset = timedelta(0)
    else:
        offset = timedelta(hours=_ZONE_HOURS.get(zone_name.lower(), 0) if zone_name else 0)
    try:
        # A leap second (60) has no datetime; the second before it is nearest.
        return datetime(
            year, month, int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=timezone(offset)
        )
    except ValueError:
        return None


def serialize_date(at: datetime) -> bytes:
    """An aware instant for a Date or Received field, in its own offset (whole minutes)."""
    offset = at.utcoffset()
    if offset is None:
        raise ValueError("an instant without an offset is no instant")
    if offset.seconds % 60 or offset.microseconds:
        at, offset = at.astimezone(UTC), timedelta(0)
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    day, month = _DAY_NAMES[at.weekday()], _MONTH_NAMES[at.month - 1]
    text = f"{day}, {at.day:02d} {month} {at.year:04d} {at.hour:02d}:{at.minute:02d}:{at.second:02d} {zone}"
    return text.encode("ascii")
