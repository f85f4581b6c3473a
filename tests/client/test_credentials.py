"""Who a client is: keys of both kinds, and files of them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.stack.authority import Authority
from outcry.client import AsyncClient, Client, Credentials, Denied, Unavailable
from tests.client.venue import Venue, encrypted, run
from tests.doors.house import BY


def ed25519(venue: Venue) -> Credentials:
    private = Ed25519PrivateKey.generate()
    public = b64encode(private.public_key().public_bytes_raw()).decode()
    issued = venue.house.credentials.issue("alice", BY, kind="ed25519", public_key=public)
    return Credentials(issued.key, b64encode(private.private_bytes_raw()).decode(), kind="ed25519")


@pytest.mark.parametrize("made", [ed25519, lambda venue: venue.credentials("alice")], ids=["ed25519", "hmac"])
def test_a_key_signs_requests_with_queries_and_bodies_and_opens_sockets(venue: Venue, made: type[Credentials]) -> None:
    async def given() -> None:
        async with AsyncClient(venue.rest, venue.ws, made(venue)) as alice, alice.session() as session:  # type: ignore[call-arg,arg-type]
            done = await alice.order("ACME", "buy", 1, "12.00")
            other = await session.order("ACME", "buy", 1, "12.00")
            assert {each.order for each in await alice.orders(symbol="ACME", account=1)} == {done.order, other.order}

    run(given())


def test_a_wrong_secret_is_denied_at_every_door(venue: Venue) -> None:
    async def given() -> None:
        key = venue.credentials("alice")
        wrong = Credentials(key.key, b64encode(bytes(32)).decode())
        async with AsyncClient(venue.rest, venue.ws, wrong) as nobody, nobody.session() as session:
            with pytest.raises(Denied, match="signature"):
                await nobody.balances()
            with pytest.raises(Denied, match="signature"):
                await session.order("ACME", "buy", 1, "12.00")

    run(given())


def test_a_key_file_has_all_that_a_client_needs(venue: Venue, tmp_path: Path) -> None:
    path = venue.key_file("alice", tmp_path)
    with Client.from_file(path) as alice, alice.session() as session:
        assert alice.me().user == "alice"
        assert session.order("ACME", "buy", 1, "12.00").resting
    assert Credentials.from_file(path).key in path.read_text()


def test_a_venue_behind_tls_is_trusted_when_the_authority_of_the_key_file_vouches_for_it(venue: Venue, tmp_path: Path) -> None:
    async def given() -> None:
        authority, issued = Authority(tmp_path), tmp_path / "issued.pem"
        issued.write_text("".join(authority.issue()))
        async with encrypted(venue.house.port, issued) as rest, encrypted(venue.house.ws_port, issued) as ws:
            there = {"rest": f"https://127.0.0.1:{rest}", "websocket": f"wss://127.0.0.1:{ws}/v1/ws"}
            knows = venue.key_file("alice", tmp_path, **there, authority=str(authority.file))
            async with AsyncClient.from_file(knows) as alice, alice.session() as session:
                done = await session.order("ACME", "buy", 1, "12.00")
                assert [each.order for each in await alice.orders()] == [done.order]
            stranger = venue.key_file("alice", tmp_path, **there)
            async with AsyncClient.from_file(stranger, patience_s=0) as alice, alice.session() as session:
                with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                    await alice.orders()
                with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                    await session.order("ACME", "buy", 1, "12.00")

    run(given())


def test_a_file_that_is_none_says_what_would_be_right(tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    path.write_text('{"user":"alice"}')
    with pytest.raises(ValueError, match=r"alice\.json is no key file: .*`key`; right would be JSON with key, secret, rest and websocket"):
        Client.from_file(path)


def test_a_secret_is_not_shown(venue: Venue) -> None:
    key = venue.credentials("alice")
    assert key.secret not in repr(key)
