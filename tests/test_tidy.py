"""What no linter knows, read from the source. Each check is first shown something it must find."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, kernel

PRODUCT = ("domain", "eventstore", "commands", "projections", "replay", "adapters", "outcry", "benchmarks")
FOLDERS = {*PRODUCT, "tests", "docs", "deploy", ".ci"}
DOMAIN_IMPORTS = {"__future__", "collections.abc", "domain", "hashlib", "librt", "mypy_extensions", "typing"}
FUNCTION_LINES = 70
DOMAIN_MEDIAN_LINES = 150
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
ELSEWHERE = re.compile(r"/(?:root|home|Users)/\w|pypi\.org|pythonhosted\.org")

Found = Iterator[str]


def committed(*patterns: str) -> list[Path]:
    """Files that git knows, or would know after `git add`, by pattern."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout: cannot tell our files from others")
    return [path for line in listing.stdout.splitlines() if (path := REPOSITORY / line).is_file()]


def floats(tree: ast.AST) -> Found:
    """The domain counts in integers: no float constant, no true division, no float by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield f"line {node.lineno}: {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"line {node.lineno}: /"
        elif isinstance(node, ast.Name) and node.id in {"float", "complex", "round"}:
            yield f"line {node.lineno}: {node.id}"


def hash_order(tree: ast.AST) -> Found:
    """Sets walk in hash order, which differs between runs and machines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Set | ast.SetComp):
            yield f"line {node.lineno}: a set"
        elif isinstance(node, ast.Name) and node.id in {"set", "frozenset", "hash", "id"}:
            yield f"line {node.lineno}: {node.id}"


def shifted_literals(tree: ast.AST) -> Found:
    """`1 << n` with a native n is 32-bit C when compiled and unbounded when interpreted: take the bit from a table."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.LShift)
            and isinstance(node.left, ast.Constant)
            and not isinstance(node.right, ast.Constant)
        ):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def foreign_imports(tree: ast.AST) -> Found:
    """Purity by a short list: what else the domain imported could do I/O, read a clock or roll dice."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "a relative import"]
        yield from (name for name in names if not {name, name.split(".")[0]} & DOMAIN_IMPORTS)


def long_functions(tree: ast.AST) -> Found:
    """A function is read at one sight."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {lines} lines"


def undocumented(tree: ast.AST) -> Found:
    """A module says what it is for."""
    if isinstance(tree, ast.Module) and tree.body and not ast.get_docstring(tree):
        yield "no docstring"


LONG = "def long() -> None:\n" + "    pass\n" * FUNCTION_LINES
DOMAIN_CHECKS: list[tuple[Callable[[ast.AST], Found], list[str]]] = [
    (floats, ["a = 1.5", "a = b / c", "a /= 2", "a = float(b)"]),
    (hash_order, ["a = {1, 2}", "a = set()", "a = frozenset(b)", "a = hash(b)", "a = {b for b in c}"]),
    (shifted_literals, ["a = 1 << n", "def f(n):\n    return (2 << n + 1)"]),
    (foreign_imports, ["import os", "from time import time", "import domain, random", "from . import a"]),
]
EVERYWHERE_CHECKS: list[tuple[Callable[[ast.AST], Found], list[str]]] = [
    (long_functions, [LONG, "class A:\n    async " + LONG.replace("\n", "\n    ")]),
    (undocumented, ["a = 1"]),
]


@pytest.mark.parametrize(("check", "bad"), [(check, bad) for check, bads in DOMAIN_CHECKS + EVERYWHERE_CHECKS for bad in bads])
def test_the_check_finds_what_it_is_for(check: Callable[[ast.AST], Found], bad: str) -> None:
    """A check that finds nothing anywhere would pass for ever."""
    assert list(check(ast.parse(bad)))


@pytest.mark.parametrize("check", [check for check, _ in DOMAIN_CHECKS])
def test_the_domain_is_exact_and_the_same_everywhere(check: Callable[[ast.AST], Found]) -> None:
    found = {f"{path.name} {what}" for path in committed("domain/*.py") for what in check(ast.parse(path.read_text()))}
    assert not found, check.__doc__


def test_no_function_of_the_product_is_longer_than_a_screen() -> None:
    paths = committed(*(f"{folder}/*.py" for folder in PRODUCT))
    assert not {f"{path.relative_to(REPOSITORY)} {what}" for path in paths for what in long_functions(ast.parse(path.read_text()))}


def test_every_module_says_what_it_is_for() -> None:
    assert not {
        f"{path.relative_to(REPOSITORY)} {what}" for path in committed("*.py") for what in undocumented(ast.parse(path.read_text()))
    }


def test_the_median_file_of_the_domain_is_short() -> None:
    lines = [len(path.read_text().splitlines()) for path in committed("domain/*.py")]
    assert statistics.median(lines) <= DOMAIN_MEDIAN_LINES, sorted(lines)


def test_nothing_is_left_unfinished_and_no_file_names_a_machine() -> None:
    """A forgotten note, a path of someone's machine, the host of a package registry."""
    found = set()
    for path in committed("*.py", "*.md", "*.toml", "*.lock", "Makefile", ".ci/*"):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if UNFINISHED.search(line) or ELSEWHERE.search(line):
                found.add(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}")
    assert not found


def test_the_house_has_the_rooms_it_is_drawn_with() -> None:
    folders = {path.relative_to(REPOSITORY).parts[0] for path in committed("*") if len(path.relative_to(REPOSITORY).parts) > 1}
    assert folders <= FOLDERS


def test_documents_name_files_that_exist() -> None:
    """`domain/matching.py` in a document is a promise."""
    named = re.compile(rf"`((?:{'|'.join(sorted(FOLDERS))})/[\w./-]+\.\w+)`")
    missing = {
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in committed("*.md")
        for name in named.findall(path.read_text())
        if not (REPOSITORY / name).exists()
    }
    assert not missing


def test_the_kernel_is_compiled_from_the_source_that_lies_here() -> None:
    """Interpreted is allowed where there is no compiler, stale never is; CI demands compiled."""
    assert kernel() in ({"compiled"} if os.environ.get("CI") == "true" else {"compiled", "interpreted"})
