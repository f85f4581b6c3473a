"""What instruments are listed with: fee schedules, and calendars that open and close them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from adapters.decimals import from_rate, to_rate
from adapters.doors.access import Caller
from adapters.doors.house import House
from adapters.doors.rest.operate import Made, Name, Why
from adapters.doors.rest.words import Rate
from adapters.registry import calendars
from adapters.registry.aggregates import Calendar, FeeSchedule, Listing
from adapters.registry.registry import Act
from adapters.times import from_ns

TimeOfDay = Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-4]):[0-5][0-9]$", examples=["09:30"])]
Days = Annotated[list[Annotated[str, msgspec.Meta(max_length=10)]], msgspec.Meta(max_length=4_096)]


class RatesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Rates: so much of the value, 0.1 at most."""

    maker_rate: Rate
    taker_rate: Rate
    reason: Why


class FeesAsked(RatesAsked):
    """Rates: so much of the value, 0.1 at most."""

    name: Name


class FeesWanted(msgspec.Struct, forbid_unknown_fields=True):
    """A fee schedule by name; empty: none."""

    fees: Annotated[str, msgspec.Meta(max_length=32)]
    reason: Why


class FeesShape(msgspec.Struct):
    """Rates: so much of the value, 0.1 at most."""

    name: str
    maker_rate: str
    taker_rate: str


class CalendarAsked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """When a market is open, by the clock on the wall of a zone. pre_opens: none: it opens without. weekdays: from 1, Monday."""

    name: Name
    zone: Annotated[str, msgspec.Meta(max_length=64, examples=["Europe/Berlin"])]
    opens: TimeOfDay
    closes: TimeOfDay
    pre_opens: TimeOfDay | None = None
    weekdays: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=7)]], msgspec.Meta(max_length=7)] = msgspec.field(
        default_factory=lambda: [1, 2, 3, 4, 5]
    )
    holidays: Days = []
    reason: Why


class HolidaysAsked(msgspec.Struct, forbid_unknown_fields=True):
    """All of them, YYYY-MM-DD."""

    holidays: Days
    reason: Why


class CalendarWanted(msgspec.Struct, forbid_unknown_fields=True):
    """A calendar by name; empty: none."""

    calendar: Annotated[str, msgspec.Meta(max_length=32)]
    reason: Why


class CalendarShape(msgspec.Struct):
    """A calendar, and what it says now: state, since when, until when, and what comes then; empty: always, or never."""

    name: str
    zone: str
    pre_opens: str
    opens: str
    closes: str
    weekdays: list[int]
    holidays: list[str]
    state: str
    since: str
    until: str
    then: str


@post("/fee-schedules", status_code=201, summary="Register a fee schedule")
async def add_fees(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[FeesAsked]) -> Made:
    """For instruments that are listed with it, or given it."""
    caller.needs("operate")
    made = FeeSchedule(data.name, to_rate(data.maker_rate), to_rate(data.taker_rate), caller.user, data.reason)
    await asyncio.to_thread(house.registry.add, made)
    return Made(data.name, 0, house.registry.seen)


@get("/fee-schedules", summary="Fee schedules")
async def fees(house: NamedDependency[House]) -> list[FeesShape]:
    """All of them."""
    schedules = house.registry.all(FeeSchedule)
    return [FeesShape(each.name, str(from_rate(each.maker_rate)), str(from_rate(each.taker_rate))) for each in schedules]


@put("/fee-schedules/{name:str}", status_code=202, summary="Set the rates of a fee schedule")
async def set_rates(
    house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[RatesAsked]
) -> Made:
    """For fills from now on, of every instrument that has it. An instrument in whose book buys hold no funds for so high a rate keeps those
    that it shows: to raise them, halt it, cancel its orders (mass-cancel), and give it its schedule again.
    """
    caller.needs("operate")
    rates, act = (to_rate(data.maker_rate), to_rate(data.taker_rate)), Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, FeeSchedule, name, lambda found: found.set_rates(*rates, *act))
    return Made(name, 0, house.registry.seen)


@put("/instruments/{symbol:str}/fees", status_code=202, summary="Set the fee schedule of an instrument")
async def set_fees(
    house: NamedDependency[House], caller: NamedDependency[Caller], symbol: FromPath[str], data: JSONBody[FeesWanted]
) -> Made:
    """Its rates hold within a moment, unless buys in the book hold no funds for them. Empty: it keeps the rates that it has."""
    caller.needs("operate")
    if data.fees:
        house.registry.get(FeeSchedule, data.fees)
    act = Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, Listing, symbol, lambda found: found.set_fees(data.fees, *act))
    return Made(symbol, 0, house.registry.seen)


@post("/calendars", status_code=201, summary="Register a calendar")
async def add_calendar(house: NamedDependency[House], caller: NamedDependency[Caller], data: JSONBody[CalendarAsked]) -> Made:
    """It opens and closes the instruments that have it."""
    caller.needs("operate")
    opens_s = _seconds(data.opens)
    pre_opens_s = opens_s if data.pre_opens is None else _seconds(data.pre_opens)
    made = Calendar(
        data.name, data.zone, pre_opens_s, opens_s, _seconds(data.closes), data.weekdays, data.holidays, caller.user, data.reason
    )
    await asyncio.to_thread(house.registry.add, calendars.check(made))
    return Made(data.name, 0, house.registry.seen)


@get("/calendars", summary="Calendars")
async def all_calendars(house: NamedDependency[House]) -> list[CalendarShape]:
    """All of them, with what they say now."""
    return [_shape(each, house.clock()) for each in house.registry.all(Calendar)]


@put("/calendars/{name:str}/holidays", status_code=202, summary="Set the holidays of a calendar")
async def holidays(
    house: NamedDependency[House], caller: NamedDependency[Caller], name: FromPath[str], data: JSONBody[HolidaysAsked]
) -> Made:
    """All of them at once."""
    caller.needs("operate")

    def act(found: Calendar) -> None:
        found.set_holidays(data.holidays, caller.user, data.reason)
        calendars.check(found)

    await asyncio.to_thread(house.registry.change, Calendar, name, act)
    return Made(name, 0, house.registry.seen)


@put("/instruments/{symbol:str}/calendar", status_code=202, summary="Set the calendar of an instrument")
async def calendar(
    house: NamedDependency[House], caller: NamedDependency[Caller], symbol: FromPath[str], data: JSONBody[CalendarWanted]
) -> Made:
    """What it says holds within a moment, unless the instrument is halted."""
    caller.needs("operate")
    if data.calendar:
        house.registry.get(Calendar, data.calendar)
    act = Act(caller.user, data.reason)
    await asyncio.to_thread(house.registry.change, Listing, symbol, lambda found: found.set_calendar(data.calendar, *act))
    return Made(symbol, 0, house.registry.seen)


def _seconds(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 3_600 + int(minutes) * 60


def _time(seconds: int) -> str:
    return f"{seconds // 3_600:02d}:{seconds // 60 % 60:02d}"


def _shape(each: Calendar, now_ns: int) -> CalendarShape:
    now = calendars.session(each, now_ns)
    is_last = now.until_ns == calendars.FAR_NS
    return CalendarShape(
        name=each.name,
        zone=each.zone,
        pre_opens=_time(each.pre_opens_s),
        opens=_time(each.opens_s),
        closes=_time(each.closes_s),
        weekdays=each.weekdays,
        holidays=each.holidays,
        state=now.state,
        since=from_ns(now.since_ns) if now.since_ns else "",
        until="" if is_last else from_ns(now.until_ns),
        then="" if is_last else now.then,
    )


HANDLERS = (add_fees, fees, set_rates, set_fees, add_calendar, all_calendars, holidays, calendar)
