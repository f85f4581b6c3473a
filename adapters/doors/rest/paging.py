"""Pages of a list: a cursor names the last entry that was seen, so what comes meanwhile moves no page."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from struct import Struct, error
from typing import Annotated, Final, TypeVar

import msgspec
from litestar.params import QueryParameter

T = TypeVar("T")
Key = tuple[int, int, int]
"""Time and number of an entry, and what tells those of one number apart: no two are alike."""
Cursor = Annotated[
    str,
    QueryParameter(name="cursor", max_length=48, pattern="^[A-Za-z0-9_=-]*$", description="`next` of the page before; none: the first."),
]
_KEY: Final = Struct("<3q")


def page(entries: Iterable[T], key: Callable[[T], Key], cursor: str, limit: int, *, is_rising: bool = False) -> tuple[list[T], str]:
    """The next *limit* of *entries*, newest first unless *is_rising*, and the cursor of the page after; empty: there is none.

    Raises msgspec.ValidationError when *cursor* is none of ours.
    """
    last = _opened(cursor) if cursor else None
    left = sorted(entries, key=key, reverse=not is_rising)
    if last is not None:
        left = [each for each in left if (key(each) > last if is_rising else key(each) < last)]
    return left[:limit], urlsafe_b64encode(_KEY.pack(*key(left[limit - 1]))).decode() if len(left) > limit else ""


def _opened(cursor: str) -> Key:
    try:
        time_ns, number, which = _KEY.unpack(urlsafe_b64decode(cursor))
    except (ValueError, error):
        raise msgspec.ValidationError(f"cursor {cursor!r} is none of ours; right would be `next` of the page before") from None
    return time_ns, number, which
