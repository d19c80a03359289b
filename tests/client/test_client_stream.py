"""Streams as the kit reads them: nothing is given out that a seal does not prove, encrypted events are opened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from contracts.base.errors import Failure
from contracts.wire import server_events
from gateway.client.errors import BadUsage
from gateway.client.feed_calls import stream_path
from gateway.client.feeds import FeedEvent, export_query, refuse_parts
from gateway.client.rest import not_proven, why
from gateway.client.streams import SealedStream, Sent
from security import jose
from security.errors import SIGNATURE_NOT_COVERING
from security.http_signatures import HttpRequest, sign_request, signature_of
from security.stream_seals import END, SEAL, NotSealed, Running, Sealed
from tests.security.joseparts import receiver, signer

GATEWAY, OTHER = signer("gateway"), signer("canh-bao")
EVENTS = [server_events.written(json.dumps({"id": f"e{number}"}).encode(), id=f"c{number}") for number in (1, 2, 3)]


def asked() -> dict[str, str]:
    request = HttpRequest("GET", "https://gateway.example/feeds/a/v1?form=events", {"authorization": "Bearer x"}, b"")
    return {**request.headers, **sign_request(request, OTHER, time.time())}


def sent(request: dict[str, str], *batches: list[bytes], start: str = "", key: object = GATEWAY) -> list[bytes]:
    """The pieces of a stream: a batch, its seal, and so on."""
    running, pieces = Running(signature_of(request)), list[bytes]()
    for batch in batches:
        own = [*([] if pieces else [server_events.retry(1)]), *batch, server_events.BEAT]
        running.take(b"".join(own))
        seal = server_events.written(running.seal(Sealed(start, "c"), key), type=SEAL)  # type: ignore[arg-type]
        running.take(seal)
        pieces += [*own, seal]
    return pieces


def read(request: dict[str, str], raw: bytes, after: str = "", opener: jose.Opener | None = None) -> list[Sent]:
    stream, given = SealedStream(request, after, opener), list[Sent]()
    for at in range(0, len(raw), 7):
        for seal in stream.take(raw[at : at + 7]):
            given.append(stream.unsealed(seal, {GATEWAY.key_id: GATEWAY.verify_key()}.get, time.time()))
    return given


def test_events_are_given_out_by_batches() -> None:
    request = asked()
    end = server_events.written(b'{"reason":"lease","next":"c3"}', id="c3", type=END)
    given = read(request, b"".join(sent(request, EVENTS[:2], [EVENTS[2]], [end])))
    assert [each.events for each in given] == [
        (FeedEvent("c1", {"id": "e1"}), FeedEvent("c2", {"id": "e2"})),
        (FeedEvent("c3", {"id": "e3"}),),
        (),
    ]
    assert given[-1].end == {"reason": "lease", "next": "c3"}


ALTERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a byte of an event": lambda pieces: [pieces[0], pieces[1].replace(b"e1", b"e9"), *pieces[2:]],
    "a cursor": lambda pieces: [pieces[0], pieces[1].replace(b"id: c1", b"id: c9"), *pieces[2:]],
    "one left out": lambda pieces: [pieces[0], *pieces[2:]],
    "one twice": lambda pieces: [*pieces[:2], pieces[1], *pieces[2:]],
    "two turned round": lambda pieces: [pieces[0], pieces[2], pieces[1], *pieces[3:]],
    "a comment": lambda pieces: [pieces[0], b": x\n\n", *pieces[1:]],
    "the seal of another batch": lambda pieces: [*pieces[:4], pieces[-1]],
}


@pytest.mark.parametrize("altered", ALTERED)
def test_nothing_is_given_out_of_what_was_altered(altered: str) -> None:
    request = asked()
    pieces = sent(request, EVENTS[:2], [EVENTS[2]])
    with pytest.raises(NotSealed):
        read(request, b"".join(ALTERED[altered](pieces)))


def test_a_stream_is_for_one_request_one_cursor_and_by_the_gateway() -> None:
    request, other = asked(), asked()
    with pytest.raises(NotSealed):
        read(request, b"".join(sent(other, EVENTS)))
    with pytest.raises(NotSealed):
        read(request, b"".join(sent(request, EVENTS, start="c0")), after="c1")
    with pytest.raises(Failure) as unknown:
        read(request, b"".join(sent(request, EVENTS, key=OTHER)))
    assert unknown.value.code == "signature.unknown-key"
    forged = jose.sign(b"{}", "application/json", GATEWAY)  # signed by the gateway, for something else
    with pytest.raises(NotSealed):
        read(request, server_events.written(forged, type=SEAL))
    assert read(request, b"".join(EVENTS)) == []  # without a seal nothing is given out


def test_what_has_no_seal_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.client.streams.LARGEST", 100)
    with pytest.raises(ValueError, match="without a seal"):
        read(asked(), EVENTS[0] * 10)


def test_encrypted_events_are_opened() -> None:
    request, own = asked(), receiver("dieu-hanh", "P-256")
    text, _ = jose.seal(b'{"id":"e1"}', "application/json", GATEWAY, own.encrypt_key())
    pieces = sent(request, [server_events.written(text, id="c1", type="jose")])
    (given,) = read(request, b"".join(pieces), opener=jose.Opener([own]))
    assert given.events == (FeedEvent("c1", {"id": "e1"}),)
    with pytest.raises(Failure) as missing:
        read(request, b"".join(pieces))
    assert missing.value.code == "client.identity"


EXPORT = f"/feeds/incident-alert/v1/export?{export_query('xlsx', 'c1', None, None)}"


@pytest.mark.parametrize(
    "path, command",
    [
        (EXPORT, "lgsp client feed-export incident-alert/v1 FILE --form xlsx"),
        ("/feeds/incident-alert/v1/export", "lgsp client feed-export incident-alert/v1 FILE --form csv"),
        (stream_path("incident-alert/v1", "c1"), "lgsp client feed incident-alert/v1 --follow"),
        (stream_path(["incident-alert/v1", "field-report/v1"], None), "lgsp client feed incident-alert/v1 --follow"),
    ],
)
def test_a_single_call_does_not_read_what_comes_in_parts(path: str, command: str) -> None:
    with pytest.raises(BadUsage) as told:
        refuse_parts("GET", path)
    assert told.value.code == "client.feed-parts"
    assert command in told.value.next("en") and command in told.value.next("vi")


@pytest.mark.parametrize(
    "path",
    ["/feeds/incident-alert/v1?form=lines", "/feeds/incident-alert/v1/state?limit=9", "/feeds", "/x/v1?form=events"],
)
def test_a_single_call_reads_the_rest(path: str) -> None:
    refuse_parts("GET", path)


def test_why_an_answer_is_not_proven_has_one_full_stop() -> None:
    failure = SIGNATURE_NOT_COVERING(missing="content-digest")
    told = not_proven("GET", "https://gateway.example/x", 200, why(failure))
    for language in ("vi", "en"):
        assert failure.what(language) in told.what(language) and ".." not in told.what(language)
