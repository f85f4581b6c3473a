"""What one may search the audit documents for, and whether a document is meant. The index and the record answer by the same criteria."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, TypeAlias

from adapters.decimals import E9
from projections.documents import Instrument

MAX_HITS: Final = 10_000
MAX_WORDS: Final = 16
MAX_WORD: Final = 100
MIN_BEGINNING: Final = 3
MAX_UNITS: Final = 2**62
NAMED: Final = ("kind", "what", "reason", "ended_by", "symbol", "side", "order_type", "time_in_force")  # where a word may stand as a whole
IN_DOUBT: Final = frozenset('*?"/\\[]{}()|^$+~')

Found: TypeAlias = Mapping[str, Any]


class BadSearch(ValueError):
    """A search that would hurt, or that means nothing: what was given and what would be right."""


class TooMuch(Exception):
    """A search that was given up, since it took too long or found too much. The text says what would be right."""


class Cursor(NamedTuple):
    """Where a document stands in an answer, which goes by time and position."""

    time_ns: int
    partition: int
    event: int

    def __str__(self) -> str:
        return f"{self.time_ns}-{self.partition}-{self.event}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor that an answer gave. Raises BadSearch."""
        parts = text.split("-")
        if len(parts) != len(cls._fields) or not all(part.isdecimal() and len(part) < 20 for part in parts):
            raise BadSearch(
                f"--after {text!r} is no place in an answer; right would be the `next` of the answer before: TIME-PARTITION-EVENT"
            )
        return cls(*map(int, parts))

    @classmethod
    def of(cls, document: Found) -> Cursor:
        """Where *document* stands."""
        return cls(document["time_ns"], document["partition"], document["event"])


class Range(NamedTuple):
    """From low to high, both included; None: no bound."""

    low: int | None = None
    high: int | None = None

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __bool__(self) -> bool:
        return self.low is not None or self.high is not None


ANY: Final = Range()


@dataclass(frozen=True, slots=True)
class Criteria:
    """What all documents of the answer have in common. None, empty: whatever.

    account, order   of either side of a trade
    time_ns          when it began or, for an order, changed last
    reason           why: the rule of a refusal, or why an order was removed
    words            each is a field's whole value, or stands in the text; one that ends with `*` is the beginning of either
    """

    account: int | None = None
    order: int | None = None
    client_order_id: int | None = None
    symbol: str = ""
    side: str = ""
    kind: str = ""
    reason: str = ""
    time_ns: Range = ANY
    price_ticks: Range = ANY
    quantity_lots: Range = ANY
    words: tuple[str, ...] = ()

    @property
    def exact(self) -> dict[str, int | str]:
        """Fields that must have one value, or have it among theirs."""
        names = ("account", "order", "client_order_id", "symbol", "side", "kind", "reason")
        return {name: value for name in names if (value := getattr(self, name)) not in (None, "")}


@dataclass(frozen=True, slots=True)
class Hits:
    """An answer.

    level     who answered: index, record, archive
    as_of     of each partition the last block that it surely shows
    hits      the documents, in order
    more      whether there are more after them
    """

    level: str
    as_of: Mapping[int, int]
    hits: list[Found]
    more: bool
    instruments: Mapping[tuple[int, str], Instrument]


def range_of(text: str, unit_e9: int, option: str) -> Range:
    """LOW..HIGH, either may be left out, or one value: in whole units of *unit_e9* x 10^-9, those that lie within. Raises BadSearch."""
    low, dots, high = text.partition("..")
    bounds = []
    for bound, rounding in ((low, ROUND_CEILING), (high if dots else low, ROUND_FLOOR)):
        try:
            value = Decimal(bound) * E9 / unit_e9 if bound else None
        except InvalidOperation:
            value = Decimal("NaN")
        if value is not None and not (value.is_finite() and abs(value) < MAX_UNITS):
            raise BadSearch(f"{option} {text!r} is no range; right would be for example 12.40..12.60, 12.40.., ..12.60 or 12.50")
        bounds.append(None if value is None else int(value.to_integral_value(rounding)))
    if not any(bound is not None for bound in bounds):
        raise BadSearch(f"{option} {text!r} bounds nothing; right would be for example 12.40..12.60, 12.40.. or ..12.60")
    return Range(*bounds)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a free text. Raises BadSearch for those that would have the index look at all it has."""
    words = tuple(text.lower().split())
    if len(words) > MAX_WORDS or any(len(word) > MAX_WORD for word in words):
        raise BadSearch(f"--text has {len(words)} words; right would be at most {MAX_WORDS} of at most {MAX_WORD} characters each")
    for word in words:
        stem = word.removesuffix("*")
        if IN_DOUBT & set(stem) or (stem != word and len(stem) < MIN_BEGINNING):
            raise BadSearch(
                f"--text has {word!r}: an index would look at every word there is; right would be whole words, or the beginning of one, "
                f"{MIN_BEGINNING} letters or more, and one * at its end. There are no regular expressions: `outcry query` has them"
            )
    return words


def matches(criteria: Criteria, document: Found) -> bool:
    """Whether *document* is meant."""
    for name, value in criteria.exact.items():
        found = document.get(name)
        if value not in (found if isinstance(found, list) else [found]):
            return False
    if criteria.time_ns and not any(document.get(name) in criteria.time_ns for name in ("time_ns", "changed_ns")):
        return False
    for name in ("price_ticks", "quantity_lots"):
        if (wanted := getattr(criteria, name)) and document.get(name) not in wanted:
            return False
    return all(_says(document, word) for word in criteria.words)


def _says(document: Found, word: str) -> bool:
    said = [*_values(document), *tokens(document.get("text", ""))]
    return any(each.startswith(word[:-1]) for each in said) if word.endswith("*") else word in said


def _values(document: Found) -> Iterable[str]:
    for name in NAMED:
        value = document.get(name, [])
        yield from (each.lower() for each in (value if isinstance(value, list) else [value]))


def tokens(text: str) -> list[str]:
    """The words of a text, as the index cuts it."""
    return text.lower().split()
