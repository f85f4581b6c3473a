"""Times of people <-> nanoseconds since 1970 in UTC, exactly."""

from __future__ import annotations

import re
from datetime import UTC, datetime

FORM = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?")


class BadTime(ValueError):
    """A time that is none: what was given and what would be right."""


def to_ns(text: str) -> int:
    """A time as nanoseconds: a number as it is; ISO 8601 with up to nine decimals, UTC unless it names an offset. Raises BadTime."""
    if text.isdecimal():
        return int(text)
    found = FORM.fullmatch(text)
    try:
        moment = datetime.fromisoformat(found[1] + (found[3] or "Z")) if found else None
    except ValueError:
        moment = None
    if found is None or moment is None:
        raise BadTime(f"{text!r} is no time; right would be nanoseconds since 1970, or for example 2012-06-21T10:31:07.123456789")
    return int(moment.timestamp()) * 10**9 + int((found[2] or "").ljust(9, "0"))


def from_ns(time_ns: int) -> str:
    """ISO 8601 in UTC, nine decimals; the bare number when no calendar holds it."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
    except (OverflowError, ValueError, OSError):
        return str(time_ns)
