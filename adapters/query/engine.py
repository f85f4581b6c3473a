"""DuckDB over what a reading has: one SELECT, which can touch nothing else, in bounded memory and time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa

from adapters.query.errors import BadQuery
from adapters.query.reading import Reading
from adapters.query.scan import Scanned
from adapters.query.tables import TABLES, Events
from domain import events as e
from domain.events import REMOVAL_REASONS
from domain.rules import RULES

BATCH_ROWS: Final = 65_536
_INSTRUMENTS: Final = """
CREATE TABLE instruments AS
SELECT partition, instrument, symbol,
    tick_size_e9 * 0.000000001::DECIMAL(10, 9) AS tick_size, lot_size_e9 * 0.000000001::DECIMAL(10, 9) AS lot_size,
    base_asset, quote_asset, base_scale, quote_scale, event_index AS listed_by
FROM _listings WHERE kind = 'InstrumentListed'
"""
_LOTS: Final = {"trades": "quantity_lots", "orders": "quantity_lots", "book_changes": "change_lots"}  # of each view with symbols


class Limits(NamedTuple):
    """What a query may take: memory of DuckDB, wall-clock time, threads."""

    memory_mib: int = 512
    seconds: float = 60.0
    threads: int = 2


USUAL: Final = Limits()


class Database:
    """Ask it once."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, limits: Limits, failures: list[BaseException]) -> None:
        self._connection, self._limits, self._failures = connection, limits, failures
        self._late = False

    @contextmanager
    def ask(self, sql: str) -> Iterator[pa.RecordBatchReader]:
        """The answer, batch by batch, while the context lasts.

        Raises  BadQuery, also while the answer is read; Damaged, NewerSchema, StoreFailed of what is read for it
        """
        timer = threading.Timer(self._limits.seconds, self._stop)
        timer.start()
        try:
            self._check(sql)
            yield self._connection.sql(sql).to_arrow_reader(BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self._explained(error) from error
        finally:
            timer.cancel()

    def _stop(self) -> None:
        self._late = True
        self._connection.interrupt()

    def _check(self, sql: str) -> None:
        """One statement that reads."""
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            found = ", ".join(each.type.name for each in statements) or "nothing"
            raise BadQuery(f"the query is {found}; right would be one SELECT, on events, trades, orders, book_changes or instruments")

    def _explained(self, error: Exception) -> Exception:
        if self._failures:
            return _as_exception(self._failures[0])
        if self._late:
            return BadQuery(
                f"the query was stopped after {self._limits.seconds:g} s; right would be less to read (a day, an instrument, an order), "
                "fewer columns, or more time (--seconds)"
            )
        if isinstance(error, duckdb.OutOfMemoryException):
            return BadQuery(
                f"the query needs more than {self._limits.memory_mib} MiB ({_first_line(error)}); right would be fewer groups, "
                "no ORDER BY over everything, a LIMIT, or more memory (--memory)"
            )
        return BadQuery(str(error))


@contextmanager
def database(reading: Reading, limits: Limits = USUAL, accounts: Mapping[str, int] | None = None) -> Iterator[Database]:
    """The views over *reading*. *accounts*: what people call them.

    Nothing else can be reached: no file, no network, no variable of this process; no setting can be changed.
    Raises Damaged, NewerSchema, StoreFailed.
    """
    failures: list[BaseException] = []
    with ThreadPoolExecutor(limits.threads, "query") as executor, closing(_connected(limits)) as connection:
        answers = Database(connection, limits, failures)
        tables = {f"_{name}": Scanned(table, reading.pieces, executor, failures.append) for name, table in TABLES.items()}
        tables["_listings"] = Scanned(_Listings(), reading.pieces, executor, failures.append)
        for name, scanned in tables.items():
            connection.register(name, scanned)
        for name, small in _vocabulary(accounts or {}).items():
            connection.register(name, small)
        try:
            connection.execute(_INSTRUMENTS)
        except duckdb.Error as error:
            raise answers._explained(error) from error  # noqa: SLF001 - it is ours
        connection.execute("CREATE VIEW events AS SELECT * FROM _events")
        for name, lots in _LOTS.items():
            connection.execute(_with_symbols(name, lots))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield answers


class _Listings(Events):
    """The blocks in which instruments were listed, and no others."""

    kinds = frozenset((e.INSTRUMENT_LISTED,))


def _connected(limits: Limits) -> duckdb.DuckDBPyConnection:
    settings: dict[str, Any] = {
        "memory_limit": f"{limits.memory_mib}MiB",
        "threads": limits.threads,
        "temp_directory": "",  # what does not fit is refused, not spilled
        # How many rows a scan has DuckDB cannot know and takes for one: it would hold all trades in memory, to look up instruments in them.
        "disabled_optimizers": "build_side_probe_side",
        "python_enable_replacements": False,
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=settings)


def _with_symbols(name: str, lots: str) -> str:
    """A view in which ticks and lots are decimals, too."""
    quantity = lots.replace("_lots", "") if lots != "quantity_lots" else "quantity"
    notional = f", t.price_ticks * t.{lots} * (i.tick_size * i.lot_size) AS notional" if name == "trades" else ""
    return f"""
CREATE VIEW {name} AS
SELECT t.*, i.symbol, t.price_ticks * i.tick_size AS price, t.{lots} * i.lot_size AS {quantity}{notional}
FROM _{name} t LEFT JOIN instruments i ON t.partition = i.partition AND t.instrument = i.instrument
"""  # noqa: S608 - from a table above


def _vocabulary(accounts: Mapping[str, int]) -> dict[str, pa.Table]:
    """Small tables of names."""
    return {
        "rules": pa.table(
            {
                "rule": pa.array([rule.code for rule in RULES], pa.int64()),
                "name": [rule.name for rule in RULES],
                "limit_is": [rule.limit for rule in RULES],
                "observed_is": [rule.observed for rule in RULES],
            }
        ),
        "reasons": pa.table({"reason": pa.array(range(1, len(REMOVAL_REASONS)), pa.int16()), "name": list(REMOVAL_REASONS[1:])}),
        "accounts": pa.table({"account": pa.array(list(accounts.values()), pa.int64()), "name": pa.array(list(accounts), pa.string())}),
    }


def _as_exception(error: BaseException) -> Exception:
    assert isinstance(error, Exception), "a scan that is left is not a failure"
    return error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
