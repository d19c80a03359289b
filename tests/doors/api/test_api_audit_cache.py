"""The served log: what may be cached, for how long, and what a reader who has it already is told (C2SP tlog-tiles, RFC
9110, RFC 9111)."""

from __future__ import annotations

import gzip
import time

from security.http_signatures import verify_response
from tests.doors.api.client import World, ask


async def test_caching_as_tlog_tiles_has_it(world: World) -> None:
    world.note(300)
    world.sequence()
    world.services.newest_checkpoint._looked = float("-inf")  # type: ignore[attr-defined]
    first = await world.public("GET", "/audit/checkpoint")
    assert first.headers["cache-control"] == "no-cache" and first.headers["content-type"] == "text/plain; charset=utf-8"
    for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = await world.public("GET", "/audit/checkpoint", {"if-none-match": known})
        assert again.status == 304 and again.body == b"" and "content-length" not in again.headers
        assert again.headers["etag"] == first.headers["etag"]
    assert (await world.public("GET", "/audit/checkpoint", {"if-none-match": '"other"'})).status == 200
    full, part = await world.public("GET", "/audit/tile/0/000"), await world.public("GET", "/audit/tile/0/001.p/3")
    assert full.headers["cache-control"] == "public, max-age=31536000, immutable" and len(full.body) == 8192
    assert part.headers["cache-control"] == "public, max-age=3600, immutable" and len(part.body) == 96
    assert (await world.public("HEAD", "/audit/tile/0/000")).headers["content-length"] == "8192"
    older = await world.public(
        "GET", "/audit/tile/0/000.p/200"
    )  # a partial tile stays, as the beginning of the full one
    assert older.body == full.body[:6400]


async def test_bundles_are_compressed_for_whoever_accepts_that_and_never_cached(world: World) -> None:
    world.note(256)
    world.sequence()
    path = "/audit/tile/entries/000"
    plain = await world.signed("dieu-hanh", path)
    assert (
        "content-encoding" not in plain.headers
        and plain.headers["cache-control"] == "no-store"
        and plain.headers["vary"] == "accept-encoding"
    )
    for accepts, packed in (
        ("gzip, identity", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity", False),
    ):
        headers = await world.signed_headers("dieu-hanh", "GET", path)
        certificate = world.identities["dieu-hanh"].tls_der
        answer = await ask(world.app, "GET", path, headers | {"accept-encoding": accepts}, certificate=certificate)
        verify_response(
            answer.status, answer.headers, answer.body, headers, world.gateway.sign.verify_key(), time.time()
        )
        assert (answer.headers.get("content-encoding") == "gzip") == packed
        assert (gzip.decompress(answer.body) if packed else answer.body) == plain.body
        assert not packed or len(answer.body) < len(plain.body) / 2
