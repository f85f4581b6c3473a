"""Trying again: what may be, and how long is waited in between."""

from __future__ import annotations

from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential

from outcry.client.errors import ApiError, Denied, NotFound, Problem, Refused, TooLate, Unavailable

FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 2.0
NOT_NOW: Final = frozenset({0, 429, 502, 503, 504})
_BY_STATUS: Final[dict[int, type[ApiError]]] = {401: Denied, 403: Denied, 404: NotFound, 408: TooLate, 422: Refused}
_JITTER: Final = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)


class Again(Exception):
    """Not now; later, perhaps. may_be_done: whether a command may have been executed nevertheless."""

    def __init__(self, problem: Problem, *, may_be_done: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem, self.may_be_done, self.retry_after_s = problem, may_be_done, retry_after_s


def error_of(problem: Problem, *, retry_after_s: float = 0.0) -> ApiError | Again:
    """The exception for *problem*."""
    if problem.status in NOT_NOW:
        may_be_done = problem.status != 429 and problem.outcome != "none"
        return Again(problem, may_be_done=may_be_done, retry_after_s=retry_after_s)
    return _BY_STATUS.get(problem.status, ApiError)(problem)


def unavailable(again: Again) -> Unavailable:
    """What is said when patience has ended."""
    return Unavailable(again.problem)


def patiently(patience_s: float) -> AsyncRetrying:
    """Attempts, later and later, while they raise Again and for *patience_s*; the last one's error is raised."""
    return AsyncRetrying(stop=stop_after_delay(patience_s), wait=_wait_s, retry=retry_if_exception_type(Again), reraise=True)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return _JITTER(state) + (error.retry_after_s if isinstance(error, Again) else 0.0)
