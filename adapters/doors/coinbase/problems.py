"""What goes wrong, as the dialect says it: a message, in words by which its clients know the kind."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response

from adapters.decimals import BadDecimal
from adapters.doors.coinbase.ids import BadId
from adapters.doors.rest.problems import Refused, Unknown, problem_of

_RULES: Final = {
    "insufficient_funds": "Insufficient funds",
    "unknown_order": "order not found",
    "instrument_state": "Cancel only mode",
    "min_quantity": "size is too small",
    "price_band": "price too small, or too large",
}
_DECIMALS: Final = {"price": "price too precise", "quantity": "size is too small, or too precise", "amount": "funds too precise"}
_ALONE: Final = {"insufficient_funds"}  # clients compare the whole message
_UNKNOWN: Final = "whether the order was executed is not known: ask for it by its client_oid, or send the same again with it"


class NotFound(Exception):
    """What was asked for is not there."""


def message_of(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, message and headers for *error*."""
    problem, head = problem_of(error) if not isinstance(error, NotFound | BadId) else (None, {})
    if isinstance(error, NotFound):
        return 404, str(error), {}
    if problem is None:
        return 400, "Invalid order id", {}
    if isinstance(error, Refused):
        return (404 if problem.rule == "unknown_order" else 400), _refusal(problem.rule, problem.detail), head
    if isinstance(error, BadDecimal):
        return 400, f"{_DECIMALS[str(error).partition(' ')[0]]}: {error}", head
    if isinstance(error, Unknown):
        return problem.status, _UNKNOWN, head
    return problem.status, problem.detail, head


def handle(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    """For the routes of the dialect."""
    status, message, head = message_of(error)
    return Response({"message": message}, status_code=status, headers=head, media_type="application/json")


def _refusal(rule: str, detail: str) -> str:
    known = _RULES.get(rule, rule)
    return known if rule in _ALONE else f"{known} ({detail})"
