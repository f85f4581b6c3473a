"""What the registry knows, each an aggregate of the `eventsourcing` library: its events are its history, with actor and reason.

A name is for ever, the id of an aggregate follows from it. Two processes that register one name meet in the record, and one is told.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.domain import Aggregate, event

Role = Literal["trader", "market_maker", "operator", "compliance", "admin"]
Scope = Literal["read", "trade", "fund", "operate", "audit", "administer"]
KeyKind = Literal["hmac", "ed25519"]
Status = Literal["open", "restricted", "closed"]

SCOPES_OF: Final[dict[Role, frozenset[Scope]]] = {
    "trader": frozenset({"read", "trade", "fund"}),
    "market_maker": frozenset({"read", "trade", "fund"}),
    "operator": frozenset({"read", "operate"}),
    "compliance": frozenset({"read", "audit"}),
    "admin": frozenset({"read", "operate", "audit", "administer"}),
}


@lru_cache(2**16)
def id_of(kind: str, name: str) -> UUID:
    """Id of the aggregate of *kind* that is called *name*."""
    return uuid5(NAMESPACE_URL, f"outcry:{kind}:{name}")


class Firm(Aggregate):
    """Who answers for users and accounts."""

    @event("FirmRegistered")
    def __init__(self, name: str, actor: str, reason: str) -> None:
        self.name = name

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("firm", name)


class User(Aggregate):
    """A person, or a machine that logs in.

    password      argon2 hash; empty: no login by password
    totp          sealed secret of the second factor; empty: none
    failures      logins refused since the last that was not
    last_refused_ns  when the last was
    """

    @event("UserRegistered")
    def __init__(self, name: str, firm: str, roles: list[Role], actor: str, reason: str) -> None:
        self.name, self.firm, self.roles = name, firm, roles
        self.password = self.totp = ""
        self.failures = self.last_refused_ns = 0
        self.is_closed = False

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("user", name)

    @event("PasswordSet")
    def set_password(self, password: str, actor: str, reason: str) -> None:
        self.password = password

    @event("SecondFactorSet")
    def set_totp(self, totp: str, actor: str, reason: str) -> None:
        self.totp = totp

    @event("RolesSet")
    def set_roles(self, roles: list[Role], actor: str, reason: str) -> None:
        self.roles = roles

    @event("LoggedIn")
    def log_in(self, address: str, time_ns: int) -> None:
        self.failures = 0

    @event("LoginRefused")
    def refuse_login(self, address: str, why: str, time_ns: int) -> None:
        self.failures += 1
        self.last_refused_ns = time_ns

    @event("SessionsRevoked")
    def revoke_sessions(self, actor: str, reason: str) -> None:
        """On record only: sessions live outside of it."""

    @event("UserClosed")
    def close(self, actor: str, reason: str) -> None:
        self.is_closed = True


class Account(Aggregate):
    """A trading account: what it may, the partitions are told; what it has, they know.

    number    as in the partitions
    users     who may trade for it
    group     accounts of one group do not trade with each other; 0: none
    """

    @event("AccountRegistered")
    def __init__(self, name: str, number: int, firm: str, users: list[str], group: int, actor: str, reason: str) -> None:
        self.name, self.number, self.firm, self.users, self.group = name, number, firm, users, group
        self.max_open_orders = self.max_quantity_lots = self.max_notional = 0
        self.status: Status = "open"

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("account", name)

    @event("AccountUsersSet")
    def set_users(self, users: list[str], actor: str, reason: str) -> None:
        self.users = users

    @event("AccountLimitsSet")
    def set_limits(self, max_open_orders: int, max_quantity_lots: int, max_notional: int, actor: str, reason: str) -> None:
        self.max_open_orders, self.max_quantity_lots, self.max_notional = max_open_orders, max_quantity_lots, max_notional

    @event("AccountStatusSet")
    def set_status(self, status: Status, actor: str, reason: str) -> None:
        self.status = status

    @event("FundsMoved")
    def move_funds(self, partition: int, asset: int, amount: int, actor: str, reason: str) -> None:
        """Bring (above 0) or take an amount in minor units; the partition says whether it could."""


class ApiKey(Aggregate):
    """A key by which a machine signs what it asks.

    secret      sealed, of an hmac key; public key in base64 of an ed25519 one
    passphrase  hash of what must be said beside it, empty when nothing
    scopes      what it may, at most what its user may
    addresses   networks that may use it (CIDR); none: all
    expires_ns  0: never
    """

    @event("KeyIssued")
    def __init__(
        self,
        key: str,
        user: str,
        kind: KeyKind,
        secret: str,
        passphrase: str,
        scopes: list[Scope],
        addresses: list[str],
        expires_ns: int,
        actor: str,
        reason: str,
    ) -> None:
        self.key, self.user, self.kind, self.secret, self.passphrase = key, user, kind, secret, passphrase
        self.scopes, self.addresses, self.expires_ns = scopes, addresses, expires_ns

    @staticmethod
    def create_id(key: str) -> UUID:
        return id_of("key", key)

    @event("KeyEnds")
    def end(self, expires_ns: int, actor: str, reason: str) -> None:
        """Revoked, at once or after the overlap with the key that takes its place."""
        self.expires_ns = expires_ns


class FeeSchedule(Aggregate):
    """Rates in 10^-6 of the notional."""

    @event("FeeScheduleRegistered")
    def __init__(self, name: str, maker_rate: int, taker_rate: int, actor: str, reason: str) -> None:
        self.name, self.maker_rate, self.taker_rate = name, maker_rate, taker_rate

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("fees", name)

    @event("FeesSet")
    def set_rates(self, maker_rate: int, taker_rate: int, actor: str, reason: str) -> None:
        self.maker_rate, self.taker_rate = maker_rate, taker_rate


class Calendar(Aggregate):
    """When a market is open.

    zone      whose clock on the wall counts: Europe/Berlin
    pre_opens_s, opens_s, closes_s  after midnight; pre_opens_s as opens_s: there is no pre-open
    weekdays  from 1, Monday, to 7
    holidays  days (YYYY-MM-DD) on which it stays closed
    """

    @event("CalendarRegistered")
    def __init__(
        self,
        name: str,
        zone: str,
        pre_opens_s: int,
        opens_s: int,
        closes_s: int,
        weekdays: list[int],
        holidays: list[str],
        actor: str,
        reason: str,
    ) -> None:
        self.name, self.zone, self.weekdays, self.holidays = name, zone, weekdays, holidays
        self.pre_opens_s, self.opens_s, self.closes_s = pre_opens_s, opens_s, closes_s

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("calendar", name)

    @event("HolidaysSet")
    def set_holidays(self, holidays: list[str], actor: str, reason: str) -> None:
        self.holidays = holidays


class Listing(Aggregate):
    """An instrument: its partition, its number there, its terms as the ListInstrument command has them, and the state asked for.

    fees        the schedule that its rates are of, empty: none, it keeps those of its terms
    calendar    that opens and closes it, empty: none
    session_ns  when the last session of the calendar began
    """

    @event("InstrumentRegistered")
    def __init__(self, symbol: str, partition: int, terms: dict[str, int | str], fees: str, calendar: str, actor: str, reason: str) -> None:
        self.symbol, self.partition, self.terms, self.fees, self.calendar = symbol, partition, terms, fees, calendar
        self.state = "pre_open"
        self.session_ns = 0

    @staticmethod
    def create_id(symbol: str) -> UUID:
        return id_of("instrument", symbol)

    @event("InstrumentStateAsked")
    def ask_state(self, state: str, actor: str, reason: str) -> None:
        self.state = state

    @event("MassCancelAsked")
    def cancel_orders(self, side: str, actor: str, reason: str) -> None:
        """Everybody's, of a side: any, buys, sells."""

    @event("SessionBegan")
    def begin_session(self, state: str, session_ns: int, actor: str, reason: str) -> None:
        self.state, self.session_ns = state, session_ns

    @event("FeeScheduleSet")
    def set_fees(self, fees: str, actor: str, reason: str) -> None:
        self.fees = fees

    @event("CalendarSet")
    def set_calendar(self, calendar: str, actor: str, reason: str) -> None:
        self.calendar, self.session_ns = calendar, 0


class Asset(Aggregate):
    """What accounts have: number in the partitions, and decimal digits of one unit."""

    @event("AssetRegistered")
    def __init__(self, name: str, number: int, scale: int, actor: str, reason: str) -> None:
        self.name, self.number, self.scale = name, number, scale

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("asset", name)


class AlertRule(Aggregate):
    """A rule of alerts of an embedded venue (docs/alerts.md); a stack keeps them in the record's database.

    name    PARTITION:NUMBER
    number  of the change by which it came, in its partition
    seq     the block from which on it holds
    rule    as JSON
    """

    @event("AlertRuleAdded")
    def __init__(self, name: str, partition: int, number: int, seq: int, rule: str, actor: str, reason: str) -> None:
        self.name, self.partition, self.number, self.seq, self.rule = name, partition, number, seq, rule

    @staticmethod
    def create_id(name: str) -> UUID:
        return id_of("alert rule", name)

    @event("AlertRuleRemoved")
    def remove(self, number: int, seq: int, actor: str, reason: str) -> None:
        """By a change that has a number of its own, and holds from a block on."""


class Taken(Aggregate):
    """A number that was given out: with it registered in the same act, nobody else gets it, at whatever gateway he asks."""

    @event("NumberTaken")
    def __init__(self, kind: str, number: int, actor: str, reason: str) -> None:
        self.kind, self.number = kind, number

    @staticmethod
    def create_id(kind: str, number: int) -> UUID:
        return id_of("number", f"{kind}:{number}")


KINDS: Final = (Firm, User, Account, ApiKey, FeeSchedule, Calendar, Listing, Asset, AlertRule, Taken)
