"""Dates on the wire: RFC 9051 §9 `date` and `date-time`. INTERNALDATE is kept, compared and shown in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_DAY_S = 86_400


def parse_date(raw: bytes) -> date | None:
    """`1-Feb-1994` → a day, or None."""
    match = _DATE.fullmatch(raw)
    if match is None:
        return None
    try:
        return date(int(match[3]), _MONTH_NUMBERS[match[2].lower()], int(match[1]))
    except (KeyError, ValueError):
        return None


def parse_date_time(raw: bytes) -> int | None:
    """`17-Jul-1996 02:44:25 -0700` → seconds since the epoch, or None. A leap second counts as the one before."""
    match = _DATE_TIME.fullmatch(raw)
    if match is None:
        return None
    offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        at = datetime(
            int(match[3]),
            _MONTH_NUMBERS[match[2].lower()],
            int(match[1]),
            int(match[4]),
            int(match[5]),
            min(int(match[6]), 59) if int(match[6]) == 60 else int(match[6]),
            tzinfo=timezone(-offset if match[7] == b"-" else offset),
        )
        return int(at.timestamp())
    except (KeyError, ValueError, OverflowError):
        return None


def serialize_date_time(at_s: int) -> bytes:
    """Seconds since the epoch → `17-Jul-1996 09:44:25 +0000`, without the quotes."""
    day, second = divmod(at_s, _DAY_S)
    minute, second = divmod(second, 60)
    return b"%b %02d:%02d:%02d +0000" % (_serialize_day(day), minute // 60, minute % 60, second)


@lru_cache(maxsize=4096)
def _serialize_day(day: int) -> bytes:
    """Days repeat in every mailbox; a cache makes INTERNALDATE of ten thousand messages cheap."""
    on = day_of(day * _DAY_S)
    return b"%2d-%b-%04d" % (on.day, _MONTHS[on.month - 1], on.year)


def day_of(at_s: int) -> date:
    """The UTC day of an instant; instants before year 1 or after 9999 count as the nearest day there is."""
    lowest, highest = -62_135_596_800, 253_402_300_799
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(max(at_s, lowest), highest))).date()
