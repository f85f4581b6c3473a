"""What can go wrong, by what is to be done then. All of it is an OutcryError."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457) as the venue says it. status 0: the venue was not heard, and the client says it.

    rule, limit, observed  of a refusal by a rule of the market: which, what it allows, what it saw
    outcome                of a command: none (it was not and will not be executed), or unknown
    """

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    rule: str = ""
    limit: int | None = None
    observed: int | None = None
    outcome: str = ""
    command_id: str = ""


class OutcryError(Exception):
    """Whatever goes wrong here."""


class ApiError(OutcryError):
    """The venue says no. problem: its document."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)
        self.problem = problem

    @property
    def status(self) -> int:
        """Of HTTP, also over a socket."""
        return self.problem.status


class Refused(ApiError):
    """A rule of the market refused the command. It is on record as refused; the same again needs another command id.

    limit and observed are None when the refusal was said before and is not remembered in full.
    """

    @property
    def rule(self) -> str:
        """Its name, as in docs/rules.md."""
        return self.problem.rule

    @property
    def limit(self) -> int | None:
        """What the rule allows."""
        return self.problem.limit

    @property
    def observed(self) -> int | None:
        """What it saw."""
        return self.problem.observed

    @property
    def command_id(self) -> str:
        """Of the command."""
        return self.problem.command_id


class Denied(ApiError):
    """Nobody that the venue knows, or not allowed to."""


class NotFound(ApiError):
    """There is none."""


class TooLate(ApiError):
    """The command's deadline passed; it was not executed."""


class Unavailable(ApiError):
    """The venue cannot now, or cannot be reached, and was asked for as long as the client's patience lasts. A command that ends so was not
    executed.
    """


class OutcomeUnknown(OutcryError):
    """Whether commands were executed cannot be said now. Each may be sent again with the same command id, which is safe, or asked for:
    client.command(command_id). What is no command (an alert rule) has no id; then what there is is to be looked at.
    """

    def __init__(self, command_ids: list[str], why: str) -> None:
        what = f"command {', '.join(command_ids)} was executed" if command_ids else "it was done"
        super().__init__(f"whether {what} is not known: {why}")
        self.command_ids = command_ids

    @property
    def command_id(self) -> str:
        """Of the only command, or the first; empty: it is none."""
        return self.command_ids[0] if self.command_ids else ""


class Closed(OutcryError):
    """The client was closed."""
