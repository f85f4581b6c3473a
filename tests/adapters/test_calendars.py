"""What a calendar says of a time, and that what is listed with it opens and closes when it says so, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.registry.aggregates import Calendar, Listing
from adapters.registry.calendars import FAR_NS, BadCalendar, Hours, check, opening_soon, session
from adapters.registry.forwarder import commands
from adapters.registry.registry import Act, Registry
from commands.messages import SetInstrumentState
from eventstore.sqlite import SqliteLog

BY = Act("olga", "a test")
BERLIN = ZoneInfo("Europe/Berlin")
WEEKDAYS = [1, 2, 3, 4, 5]


def calendar(
    *, pre_opens: int = 9, opens: int = 10, closes: int = 16, zone: str = "Europe/Berlin", holidays: tuple[str, ...] = ()
) -> Calendar:
    """By hours of the day."""
    return Calendar("days", zone, pre_opens * 3_600, opens * 3_600, closes * 3_600, WEEKDAYS, list(holidays), *BY)


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    """Nanoseconds of a time by the clock on the wall."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("now", "state", "since", "until", "then"),
    [
        ("2026-03-25 08:59:59", "closed", "2026-03-24 16:00", "2026-03-25 09:00", "pre_open"),
        ("2026-03-25 09:00", "pre_open", "2026-03-25 09:00", "2026-03-25 10:00", "open"),
        ("2026-03-25 10:00", "open", "2026-03-25 10:00", "2026-03-25 16:00", "closed"),
        ("2026-03-25 16:00", "closed", "2026-03-25 16:00", "2026-03-26 09:00", "pre_open"),
        ("2026-03-27 20:00", "closed", "2026-03-27 16:00", "2026-03-30 09:00", "pre_open"),  # a week-end, and the clocks go forward
    ],
)
def test_a_day_is_closed_pre_opened_open_and_closed_by_the_clock_on_the_wall(
    now: str, state: str, since: str, until: str, then: str
) -> None:
    assert session(calendar(), at(now)) == (state, at(since), at(until), then)


def test_when_the_clocks_go_forward_a_market_opens_an_hour_earlier_by_utc() -> None:
    utc = ZoneInfo("UTC")
    assert session(calendar(), at("2026-03-27 09:30", utc)).since_ns == at("2026-03-27 09:00", utc)
    assert session(calendar(), at("2026-03-30 09:30", utc)).since_ns == at("2026-03-30 08:00", utc)


def test_on_a_holiday_it_stays_closed() -> None:
    kept = calendar(holidays=("2026-03-25",))
    assert session(kept, at("2026-03-25 11:00")) == ("closed", at("2026-03-24 16:00"), at("2026-03-26 09:00"), "pre_open")


def test_without_a_pre_open_it_opens_at_once_and_a_day_may_end_at_midnight() -> None:
    kept = calendar(pre_opens=10, closes=24)
    assert session(kept, at("2026-03-25 23:59")) == ("open", at("2026-03-25 10:00"), at("2026-03-26 00:00"), "closed")


def test_a_market_without_days_is_closed_for_ever() -> None:
    kept = Calendar("never", "UTC", 0, 0, 3_600, [], [], *BY)
    assert session(kept, at("2026-03-25 11:00")) == ("closed", 0, FAR_NS, "closed")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: calendar(zone="Europe/Nowhere"), "no time zone"),
        (lambda: calendar(zone="../../etc/passwd"), "no time zone"),
        (lambda: calendar(opens=16), "in this order"),
        (lambda: calendar(pre_opens=11), "in this order"),
        (lambda: calendar(holidays=("25 March",)), "right would be YYYY-MM-DD"),
        (lambda: Calendar("days", "UTC", 0, 0, 3_600, [0], [], *BY), "from 1, Monday"),
    ],
)
def test_a_calendar_that_cannot_be_is_told_what_would_be_right(wrong: object, says: str) -> None:
    assert callable(wrong)
    with pytest.raises(BadCalendar, match=says):
        check(wrong())


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with closing(SqliteLog(tmp_path / "record.sqlite")) as log:
        made = Registry(log)
        made.add(calendar(), Listing("ACME", 1, {"instrument": 3}, "", "days", *BY), Listing("FREE", 1, {"instrument": 4}, "", "", *BY))
        yield made


def told(registry: Registry) -> list[object]:
    """The states that the partition is told, in order."""
    acts = [each for each in registry.recorded() if type(each.event).__name__ != "InstrumentRegistered"]
    return [each.state for act in acts for each in commands(act, 1, registry) if isinstance(each, SetInstrumentState)]


def test_what_is_listed_with_it_opens_and_closes_once_with_actor_and_reason(registry: Registry) -> None:
    for hours in (Hours(registry, 1), Hours(registry, 1), Hours(registry, 2)):  # one after the other, or another's
        for now in ("09:00", "09:30", "10:00", "10:01", "16:00", "20:00"):
            hours.turn(at(f"2026-03-25 {now}"))
    assert told(registry) == ["pre_open", "open", "closed"]
    began = [event for _, event, _ in registry.recorded() if type(event).__name__ == "SessionBegan"]
    assert {(event.actor, event.reason) for event in began} == {("calendar", "days")}
    assert registry.get(Listing, "FREE").session_ns == 0


def test_who_looks_late_opens_what_is_closed_by_way_of_pre_open(registry: Registry) -> None:
    hours = Hours(registry, 1)
    hours.turn(at("2026-03-24 17:00"))
    hours.turn(at("2026-03-25 11:00"))
    assert told(registry) == ["closed", "pre_open", "open"]


def test_what_an_operator_halted_stays_halted_until_he_ends_it(registry: Registry) -> None:
    hours = Hours(registry, 1)
    hours.turn(at("2026-03-25 10:00"))
    registry.change(Listing, "ACME", lambda found: found.ask_state("halted", *BY))
    hours.turn(at("2026-03-25 16:00"))
    assert told(registry) == ["open", "halted"]
    registry.change(Listing, "ACME", lambda found: found.ask_state("pre_open", *BY))
    hours.turn(at("2026-03-25 17:00"))
    assert told(registry) == ["open", "halted", "pre_open", "closed"]


def test_new_holidays_hold_at_once(registry: Registry) -> None:
    hours = Hours(registry, 1)
    hours.turn(at("2026-03-24 20:00"))
    registry.change(Calendar, "days", lambda found: found.set_holidays(["2026-03-25"], *BY))
    hours.turn(at("2026-03-25 11:00"))
    assert told(registry) == ["closed"]


def test_what_opens_next_is_named_in_the_order_of_opening(registry: Registry) -> None:
    registry.add(
        Calendar("early", "Europe/Berlin", 8 * 3_600, 9 * 3_600 + 1, 50_000, WEEKDAYS, [], *BY),
        Listing("BOLT", 1, {"instrument": 5}, "", "early", *BY),
    )
    soon = [
        [each.symbol for each in opening_soon(registry, at(f"2026-03-25 {now}"), 3_600)] for now in ("06:30", "07:30", "08:30", "10:30")
    ]
    assert soon == [[], ["BOLT"], ["ACME", "BOLT"], []]
