"""What can be wrong with a query."""

from __future__ import annotations


class BadQuery(ValueError):
    """A query that is none, or that was stopped: why, and what would be right."""
