"""What goes wrong, as problem documents (RFC 9457): every refusal of this door has one form.

A rule of the market that refuses is told with its code, what it allows and what it saw. Whether a command was executed is never left open
in silence: `outcome` says `none` (it was not and will not be), or `unknown`, and then where to ask.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from eventsourcing.persistence import IntegrityError, OperationalError
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from adapters.decimals import BadDecimal
from adapters.doors.access import Denied, SessionsAway
from adapters.doors.desk import Away, Busy, Overdue, TooLate
from adapters.doors.house import NotListed
from adapters.doors.limits import TooOften
from adapters.names import BadName
from adapters.reads.answer import Behind
from adapters.registry.calendars import BadCalendar
from adapters.registry.credentials import BadCredential, LoginRefused
from adapters.registry.registry import Registered, Unregistered
from adapters.tickets import BadTicket
from adapters.times import BadTime
from commands.codec import BadRow
from commands.messages import Event
from commands.ports import Full, Stopped, Unanswered
from domain.rules import RULES
from eventstore.errors import Fenced, OutcomeUnknown, StoreFailed
from projections.alert_rules import BadRule

MEDIA_TYPE: Final = "application/problem+json"
_RULES: Final = {rule.name: rule for rule in RULES}
_LOG: Final = logging.getLogger(__name__)


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457. rule, limit, observed: of a refusal by a rule of the market; outcome: of a command, when it has none on record."""

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    rule: str = ""
    limit: int | None = None
    observed: int | None = None
    outcome: str = ""
    command_id: str = ""


class Refused(Exception):
    """A rule of the market refused a command: its event."""

    def __init__(self, event: Event, command_id: int) -> None:
        super().__init__(event.kind)
        self.event, self.command_id = event, command_id


class Unknown(Exception):
    """Whether a command is on record is not known: ask for it by its id."""

    def __init__(self, command_id: int, why: BaseException) -> None:
        super().__init__(str(why))
        self.command_id = command_id


_STATUS: Final[Mapping[type[Exception], int]] = {
    BadDecimal: 400,
    BadTicket: 400,
    BadTime: 400,
    BadRow: 400,
    BadName: 400,
    BadCredential: 400,
    BadRule: 400,
    BadCalendar: 400,
    msgspec.ValidationError: 400,
    RecursionError: 400,  # of a body that is nested deeper than any of ours
    NotListed: 404,
    Unregistered: 404,
    Registered: 409,
    TooLate: 408,
    Away: 503,
    Busy: 503,
    Full: 503,
    Behind: 503,
    SessionsAway: 503,
    Stopped: 503,
    StoreFailed: 503,
    OperationalError: 503,  # of the registry: its record is away
    IntegrityError: 503,  # others registered again and again meanwhile
}
UNKNOWN: Final = (OutcomeUnknown, Fenced, Unanswered, Overdue)
"""After these a command may be on record or not."""
_NONE: Final = (TooLate, Away, Busy, Full, Stopped)
_RETRY_S: Final = 1


def refused(problem: Refused) -> Problem:
    """A refusal by a rule of the market."""
    field = problem.event.fields
    rule = _RULES[str(field["rule"])]
    limit, observed = int(field["limit"]), int(field["observed"])
    return Problem(
        title=f"refused by {rule.name}",
        status=422,
        detail=f"{rule.limit}: {limit}; {rule.observed}: {observed}",
        type=f"/docs/rules#{rule.name}",
        rule=rule.name,
        limit=limit,
        observed=observed,
        command_id=str(problem.command_id),
    )


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """The document and headers for *error*; one that nobody foresaw is logged and says nothing of itself."""
    if isinstance(error, Refused):
        return refused(error), {}
    if isinstance(error, Unknown):
        says = f"{error}; ask for it: GET /v1/commands/{error.command_id}, or send the same again with the same command_id"
        return _problem(503, says, outcome="unknown", command_id=str(error.command_id)), {"Retry-After": str(_RETRY_S)}
    if isinstance(error, Denied):
        return _problem(error.status, str(error)), {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if isinstance(error, TooOften | LoginRefused):
        status = 401 if isinstance(error, LoginRefused) and not error.retry_after_s else 429
        head = {"Retry-After": str(max(1, round(error.retry_after_s + 0.5)))} if status == 429 else {}
        return _problem(status, str(error)), head
    if isinstance(error, HTTPException):
        extra = getattr(error, "extra", None)
        says = error.detail + (f": {_spelled(extra)}" if extra and isinstance(error, ValidationException) else "")
        return _problem(error.status_code, says), dict(error.headers or {})
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            none = isinstance(error, _NONE)
            return _problem(status, str(error), outcome="none" if none else ""), {"Retry-After": str(_RETRY_S)} if status == 503 else {}
    _LOG.error("a request failed in a way that nobody foresaw: %s", error, exc_info=error)
    return _problem(500, "this is our mistake, and it is logged"), {}


def handle(_request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """For the application: any error as a document."""
    problem, head = problem_of(error)
    return Response(problem, status_code=problem.status, headers=head, media_type=MEDIA_TYPE)


def _problem(status: int, detail: str, outcome: str = "", command_id: str = "") -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, outcome=outcome, command_id=command_id)


def _spelled(extra: Any) -> str:
    """What litestar says of the fields, in a sentence."""
    if isinstance(extra, list):
        return "; ".join(f"{each.get('key', '')}: {each.get('message', '')}" for each in extra if isinstance(each, dict))
    return str(extra)
