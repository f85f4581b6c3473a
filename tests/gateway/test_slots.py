"""Which gateway of a stack a process is."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from adapters import settings
from adapters.doors.gateway import Ports
from adapters.doors.slots import SlotHeld, taken
from adapters.settings import BadSettings, Settings


def of(folder: Path, gateways: str, **more: int) -> Settings:
    """Settings of a stack in *folder*."""
    return settings.load({"OUTCRY_STACK": str(folder), "OUTCRY_GATEWAYS": gateways}, folder / "none.toml", **more)


@pytest.fixture(autouse=True)
def _no_file(tmp_path: Path) -> None:
    (tmp_path / "none.toml").touch()


def test_each_process_is_the_first_gateway_that_nobody_is(tmp_path: Path) -> None:
    both = of(tmp_path, "8080:8081,8082:8083")
    with taken(both) as first, taken(both) as second:
        assert (first, second) == ((1, Ports(8080, 8081)), (2, Ports(8082, 8083)))
        with pytest.raises(SlotHeld, match=r"gateway 1 is process \d+, gateway 2 is process \d+; stop one, or add one"), taken(both):
            pass


def test_a_gateway_that_ended_can_be_taken_again(tmp_path: Path) -> None:
    both = of(tmp_path, "8080:8081,8082:8083")
    with ExitStack() as first:
        first.enter_context(taken(both))
        with taken(both) as second:
            first.close()
            with taken(both) as again:
                assert (second.number, again.number) == (2, 1)


def test_one_that_is_named_is_taken_or_nothing(tmp_path: Path) -> None:
    both = of(tmp_path, "8080:8081,8082:8083")
    with taken(both, 2) as second:
        assert second.ports == Ports(8082, 8083)
        with pytest.raises(SlotHeld, match="gateway 2 is process"), taken(both, 2):
            pass
    with pytest.raises(BadSettings, match="no gateway 3; right would be 1 to 2"), taken(both, 3):
        pass


def test_without_gateways_in_the_settings_ports_are_as_asked_and_nothing_is_held(tmp_path: Path) -> None:
    none = of(tmp_path, "", rest_port=8090)
    with taken(none) as first, taken(none) as second:
        assert first == second == (0, Ports(8090, 0))
    with pytest.raises(BadSettings, match="no gateway 1; right would be without --number"), taken(none, 1):
        pass


def test_a_port_that_is_asked_for_outdoes_that_of_the_gateway(tmp_path: Path) -> None:
    with taken(of(tmp_path, "8080:8081", ws_port=9090)) as first:
        assert first == (1, Ports(8080, 9090))


@pytest.mark.parametrize("wrong", ["8080", "8080:0", "8080:99999", "a:b", "8080:8081,8081:8082"])
def test_ports_that_cannot_be_are_refused_with_what_would_be_right(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(BadSettings, match=r"OUTCRY_GATEWAYS: gateways.*; right would be"):
        of(tmp_path, wrong)
