"""When markets are open: what a calendar says of a time, and telling listed instruments when it says something else.

A session begins once: that it did stands in the registry with its time, so who looks later, or beside, does not begin it again. What an
operator halted stays halted until he ends that; then what the calendar says holds again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters.registry.aggregates import Calendar, Listing
from adapters.registry.registry import Registry

ACTOR: Final = "calendar"
LOOKS_DAYS: Final = 370
FAR_NS: Final = 2**63 - 1
S: Final = 10**9
DAY_S: Final = 86_400
SessionState = Literal["pre_open", "open", "closed"]


class BadCalendar(ValueError):
    """A calendar that cannot be: which field, what it is and what would be right."""


class Session(NamedTuple):
    """What holds from since_ns until until_ns (nanoseconds of UTC), and what comes then."""

    state: SessionState
    since_ns: int
    until_ns: int
    then: SessionState


def check(calendar: Calendar) -> Calendar:
    """*calendar*, which can be. Raises BadCalendar."""
    try:
        ZoneInfo(calendar.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadCalendar(f"zone {calendar.zone!r} is no time zone; right would be for example Europe/Berlin or UTC") from None
    if not 0 <= calendar.pre_opens_s <= calendar.opens_s < calendar.closes_s <= DAY_S:
        raise BadCalendar("a day pre-opens, opens and closes in this order; right would be for example 09:00, 09:30, 16:00")
    if not set(calendar.weekdays) <= set(range(1, 8)):
        raise BadCalendar(f"weekdays are {calendar.weekdays}; right would be numbers from 1, Monday, to 7")
    for each in calendar.holidays:
        try:
            date.fromisoformat(each)
        except ValueError:
            raise BadCalendar(f"holiday {each!r} is no day; right would be YYYY-MM-DD") from None
    return calendar


def session(calendar: Calendar, now_ns: int) -> Session:
    """What *calendar* says at *now_ns*."""
    today = datetime.fromtimestamp(now_ns // S, ZoneInfo(calendar.zone)).date()
    before = next((turn for turn in _turns(calendar, today, -1) if turn[0] <= now_ns), (0, "closed"))
    after = next((turn for turn in _turns(calendar, today, 1) if turn[0] > now_ns), (FAR_NS, "closed"))
    return Session(before[1], before[0], after[0], after[1])


def opening_soon(registry: Registry, now_ns: int, within_s: int = 3_600) -> list[Listing]:
    """What pre-opens or opens within that time, the first to do so first: warm it."""
    found = [(session(calendar, now_ns), listing) for listing, calendar in _kept(registry)]
    soon = [each for each in found if each[0].then != "closed" and each[0].until_ns <= now_ns + within_s * S]
    return [listing for _, listing in sorted(soon, key=lambda each: each[0].until_ns)]


class Hours:
    """Begins the sessions of what is listed in *partition*. For one thread."""

    def __init__(self, registry: Registry, partition: int) -> None:
        self._registry, self._partition = registry, partition
        self._seen, self._until_ns = -1, 0

    def turn(self, now_ns: int) -> None:
        """Begin what is to have begun by *now_ns* and has not. Raises what Registry.change raises."""
        if self._registry.seen == self._seen and now_ns < self._until_ns:
            return
        said: dict[str, Session] = {}
        for listing, calendar in _kept(self._registry):
            if listing.partition == self._partition:
                found = said.get(calendar.name) or said.setdefault(calendar.name, session(calendar, now_ns))
                if listing.state != "halted" and listing.session_ns < found.since_ns:
                    self._registry.change(Listing, listing.symbol, partial(_begin, now=found, calendar=calendar.name))
        self._seen, self._until_ns = self._registry.seen, min((each.until_ns for each in said.values()), default=FAR_NS)


def _begin(listing: Listing, now: Session, calendar: str) -> None:
    """Unless somebody else did meanwhile. What is closed opens by way of pre-open."""
    if listing.state != "halted" and listing.session_ns < now.since_ns:
        if (listing.state, now.state) == ("closed", "open"):
            listing.begin_session("pre_open", now.since_ns, ACTOR, calendar)
        listing.begin_session(now.state, now.since_ns, ACTOR, calendar)


def _kept(registry: Registry) -> Iterator[tuple[Listing, Calendar]]:
    """What is listed with a calendar."""
    for listing in registry.all(Listing):
        calendar = registry.find(Calendar, listing.calendar) if listing.calendar else None
        if calendar is not None:
            yield listing, calendar


def _turns(calendar: Calendar, today: date, step: Literal[-1, 1]) -> Iterator[tuple[int, SessionState]]:
    """When a session begins, and which: from the day after on backwards, or from the day before on forwards."""
    zone, holidays = ZoneInfo(calendar.zone), set(calendar.holidays)
    of_a_day: list[tuple[int, SessionState]] = [(calendar.opens_s, "open"), (calendar.closes_s, "closed")]
    if calendar.pre_opens_s < calendar.opens_s:
        of_a_day.insert(0, (calendar.pre_opens_s, "pre_open"))
    for days in range(-1, LOOKS_DAYS):
        day = today + timedelta(days=days * step)
        if day.isoweekday() in calendar.weekdays and day.isoformat() not in holidays:
            for seconds, state in of_a_day[::step]:
                local = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(seconds=seconds)  # by the clock on the wall
                yield int(local.astimezone(UTC).timestamp()) * S, state
