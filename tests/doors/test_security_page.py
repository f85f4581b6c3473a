"""docs/security.md names the test that holds each promise: they are there."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs/security.md").read_text()


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE))
    assert len(named) > 20
    for path, test in named:
        text = (REPOSITORY / path).read_text()
        assert not test or re.search(rf"^def {test}\(", text, re.MULTILINE), f"{path} has no {test}"


def test_every_risk_of_the_list_has_a_row_with_a_test() -> None:
    rows = re.findall(r"^\| API(\d+) .*\|$", PAGE, re.MULTILINE)
    assert rows == [str(number) for number in range(1, 11)]
    assert all("`tests/" in row for row in re.findall(r"^\| API\d+ .*\|$", PAGE, re.MULTILINE))
