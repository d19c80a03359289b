"""HTTP used in ways that a door must not be talked into."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from examples.story.world import World
from gateway.sample_client.rest import Prepared
from gateway.sandbox.standins import messages
from tests.attacks.conftest import MUCH, QUESTION, Judge
from tests.attacks.raw import Told, ask, connect, head, of, read_one

pytestmark = pytest.mark.server

ALERTS = "/incident-alert/v1/alerts"
SOAP_INDICATOR = "/soap/indicator/v1"


def alert() -> bytes:
    return json.dumps(messages.fire_alarm(), ensure_ascii=False).encode()


def post(world: World, body: bytes | None = None, **how: Any) -> Prepared:
    return world.rest("bao-chay").prepare("POST", ALERTS, alert() if body is None else body, **how)


def send(world: World, prepared: Prepared, more: Sequence[tuple[str, str]] = (), **how: Any) -> Told | None:
    return ask(world.identity("bao-chay"), of(prepared, more, **how))


def chunked(prepared: Prepared, trailer: bytes = b"", end: bytes = b"0\r\n") -> bytes:
    bare = Prepared(prepared.method, prepared.path, prepared.target, prepared.headers, b"")
    body = prepared.body
    pieces = [body[at : at + 300] for at in range(0, len(body), 300)]
    return (
        of(bare, [("transfer-encoding", "chunked")])
        + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)
        + end
        + trailer
        + b"\r\n"
    )


@pytest.mark.attack("path traversal")
@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/", "address.unknown"),
        ("//", "address.unknown"),
        ("//incident-alert/v1/alerts", "address.unknown"),
        ("/incident-alert//v1/alerts", "address.unknown"),
        ("/incident-alert/v1/alerts/", "address.unknown"),
        ("/incident-alert/v1/../v1/alerts", "address.unknown"),
        ("/incident-alert/v1/%2e%2e/v1/alerts", "address.unknown"),
        ("/Incident-Alert/v1/alerts", "address.unknown"),
        ("/incident-alert/V1/alerts", "address.unknown"),
        ("/incident-alert/v1/alerts%00", "address.unknown"),
        ("/incident-alert/v1/alerts;x=1", "address.unknown"),
        ("/incident-alert/v2/alerts", "address.unknown"),
        ("/incident-alert/v1/" + "a" * 60_000, "address.unknown"),
        ("/soap/", "address.unknown"),
        ("/soap/%00", "address.unknown"),
        ("/soap/%EF%BF%BE%1B", "address.unknown"),
        ("/soap/incident-alert/v1/", "address.unknown"),
        ("/soap//incident-alert/v1", "address.unknown"),
        ("/SOAP/incident-alert/v1", "address.unknown"),
        ("/transfers/..%2f..%2fetc%2fpasswd", "address.unknown"),
        ("/nowhere", "address.unknown"),
        ("/.env", "address.unknown"),
        ("/audit/entries/000", "address.unknown"),
    ],
)
def test_an_address_that_does_not_exist(world: World, judge: Judge, target: str, code: str) -> None:
    for method in ("GET", "POST"):
        told = judge.refused(ask(world.identity("bao-chay"), head(method, target)), code)
        assert told.status == (500 if target.startswith("/soap/") else 404)


@pytest.mark.attack("HTTP misused")
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_a_method_that_the_address_does_not_have(world: World, judge: Judge, method: str) -> None:
    for target, status in (
        (ALERTS, 405),
        (QUESTION, 405),
        (SOAP_INDICATOR, 500),
        ("/feeds/incident-alert/v1", 405),
        ("/oauth/token", 405),
    ):
        bodiless = method == "HEAD"
        if bodiless and target.startswith("/feeds/"):
            continue  # what may be got may be asked for by HEAD too
        told = ask(world.identity("bao-chay"), head(method, target), bodiless=bodiless)
        assert told is not None and told.status == status, target
        if not bodiless:
            judge.refused(told, "address.method", status)


def test_head_is_answered_at_once_and_the_connection_goes_on(world: World) -> None:
    with connect(world.identity("y-te")) as sock:
        for target in ("/contracts", "/healthz", "/readyz"):
            sock.sendall(head("HEAD", target))
            told, left = read_one(sock, bodiless=True)
            assert told is not None and told.status == 200 and not left


def test_who_waits_for_100_continue_gets_it(world: World) -> None:
    prepared = post(world)
    bare = Prepared(prepared.method, prepared.path, prepared.target, prepared.headers, b"")
    with connect(world.identity("bao-chay")) as sock:
        sock.sendall(of(bare, [("content-length", str(len(prepared.body))), ("expect", "100-continue")]))
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(prepared.body)
        told, _ = read_one(sock)
        assert told is not None and told.status == 200


@pytest.mark.attack("HTTP misused")
@pytest.mark.parametrize(
    "name",
    ["signature", "signature-input", "authorization", "content-digest", "idempotency-key", "content-type", "host"],
)
def test_a_header_that_stands_twice(world: World, judge: Judge, name: str) -> None:
    prepared = post(world)
    judge.refused(send(world, prepared, [(name, prepared.headers.get(name, "localhost"))]), "request.header-twice", 400)


@pytest.mark.attack("request smuggling")
@pytest.mark.parametrize(
    "more",
    [
        [("content-length", "5"), ("content-length", "5")],
        [("content-length", "1"), ("content-length", "5")],
        [("content-length", "5"), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "chunked"), ("content-length", "5")],
        [("transfer-encoding", "chunked, identity"), ("content-length", "5")],
        [("content-length", "-1")],
        [("content-length", "+5")],
        [("content-length", "9" * 30)],
        [("content-length", "5"), ("x", "a\0b")],
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_not_read_at_all(
    world: World, judge: Judge, more: list[tuple[str, str]]
) -> None:
    told = send(world, post(world), more)
    assert told is not None and told.status == 400 and told.headers["connection"] == "close"


@pytest.mark.attack("request smuggling")
def test_two_requests_in_one_are_never_made_of_one(world: World, judge: Judge) -> None:
    """A request hidden behind a chunked end that others would read differently."""
    hidden = of(post(world))
    smuggled = chunked(post(world, b"{}"), end=b"0\r\n\r\n")[:-2]
    with connect(world.identity("bao-chay")) as sock:
        sock.sendall(smuggled + hidden.replace(b"POST", b"POSX", 1))
        first, left = read_one(sock)
        assert first is not None and first.code == "message.invalid"
        second, _ = read_one(sock, left)
        assert second is None or second.status == 400


def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    client = world.rest("y-te")
    targets = [QUESTION, "/nowhere", QUESTION, "/contracts", QUESTION]
    with connect(world.identity("y-te")) as sock:
        sock.sendall(b"".join(of(client.prepare("GET", target)) for target in targets))
        left, statuses = b"", []
        for _ in targets:
            told, left = read_one(sock, left)
            assert told is not None
            statuses.append(told.status)
    assert statuses == [200, 404, 200, 200, 200]


def test_a_chunked_body_is_taken_and_its_trailers_count_for_nothing(world: World) -> None:
    identity = world.identity("bao-chay")
    for trailer in (b"", b'Idempotency-Key: "other"\r\nSignature: sig1=:AAAA:\r\n'):
        prepared = post(world)
        told = ask(identity, chunked(prepared, trailer))
        assert told is not None and told.status == 200, told
        assert json.loads(told.body)["messageId"] == prepared.headers["idempotency-key"].strip('"')


@pytest.mark.attack("HTTP misused")
def test_bodies_that_are_not_to_be_there(world: World, judge: Judge) -> None:
    client, identity = world.rest("y-te"), world.identity("y-te")
    judge.refused(ask(identity, of(client.prepare("GET", QUESTION, b"{}"))), "body.unexpected", 400)
    spoiled = client.prepare("GET", QUESTION, mutate=lambda headers, body: (headers, b"{}"))
    judge.refused(ask(identity, of(spoiled)), "signature.not-covering", 401)
    judge.refused(send(world, post(world, b"")), "message.not-json", 400)
    judge.refused(send(world, post(world, headers={"content-encoding": "gzip"})), "body.encoded", 415)
    judge.refused(send(world, post(world, content_type="text/xml")), "body.media-type", 415)


@pytest.mark.attack("limits")
def test_a_body_over_the_limit(world: World, judge: Judge) -> None:
    """Told in advance, or found on the way in chunks: either way refused, and the announced one before it was sent."""
    prepared = post(world)
    bare = Prepared(prepared.method, prepared.path, prepared.target, prepared.headers, b"")
    judge.refused(ask(world.identity("bao-chay"), of(bare, [("content-length", "5000001")])), "body.too-large", 413)
    big = Prepared(prepared.method, prepared.path, prepared.target, prepared.headers, b"")
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    judge.refused(
        ask(world.identity("bao-chay"), of(big, [("transfer-encoding", "chunked")]) + piece * 80), "body.too-large", 413
    )


@pytest.mark.attack("limits")
def test_a_head_over_the_limit(world: World, judge: Judge) -> None:
    for more in ([(f"x{number}", "a") for number in range(20_000)], [("x", "a" * 300_000)]):
        told = send(world, post(world), more)
        assert told is not None and told.status == 431 and told.headers["connection"] == "close"
    # On Python 3.13 a broken write leaves its error with the thread, and the next read there, of whatever connection,
    # reports it as its own.
    with ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(endless_head, world).result(), "an address without an end was taken"


def endless_head(world: World) -> bool:
    """Whether the door ends an address that has no end, long before it has taken a hundred megabytes of it: it is not
    kept in memory for ever."""
    with connect(world.identity("bao-chay")) as sock:
        sock.sendall(b"GET /")
        try:
            for _ in range(6_000):
                sock.sendall(b"a" * 16_384)
                time.sleep(0.01)
        except OSError:
            return True
    return False


@pytest.mark.attack("HTTP misused")
@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x00",
        b"GET\r\n\r\n",
        b"\r\n\r\nX",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 100,
    ],
)
def test_what_is_not_http(world: World, judge: Judge, data: bytes) -> None:
    told = ask(world.identity("y-te"), data)
    assert told is not None and told.status == 400


@pytest.mark.attack("HTTP misused")
def test_no_tls_at_all(world: World, judge: Judge) -> None:
    port = int(world.identity("y-te").gateway.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(head("GET", "/contracts"))
        with contextlib.suppress(ConnectionError):
            assert not sock.recv(1000).startswith(b"HTTP/")


def test_the_host_header_says_nothing(world: World) -> None:
    for host in ("evil.example", "localhost:1", "127.0.0.1", "[::1]", "a" * 5_000):
        told = send(world, post(world), host=host)
        assert told is not None and told.status == 200
    lies = [
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=192.0.2.1;host=evil"),
        ("x-http-method-override", "GET"),
        ("x-original-url", "/nowhere"),
    ]
    told = send(world, post(world), lies)
    assert told is not None and told.status == 200
    told = ask(world.identity("y-te"), head("GET", "/contracts/indicator/v1", host="evil.example"))
    assert told is not None and b"evil.example" not in told.body


@pytest.mark.attack("path traversal")
def test_what_was_signed_is_the_raw_address(world: World, judge: Judge) -> None:
    for target in ("/incident-alert/v1/%61lerts", ALERTS + "?", ALERTS + "?x=1"):
        told = send(world, post(world), target=target)
        if told is not None and told.status == 200:
            assert target.endswith("?")  # an empty query is no query
        else:
            judge.refused(told, "signature.wrong", 401)


@pytest.mark.attack("HTTP misused")
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("indicator=KT-05&area=04&period=2026-Q3&area=04", "message.not-query"),
        ("indicator=KT-05&area=04&period=2026-Q3&x=1", "message.invalid"),
        ("indicator=KT-05&area=04&period=2026+Q3", "message.invalid"),
        ("indicator=%zz&area=04&period=2026-Q3", "message.invalid"),
        ("indicator=%ff&area=04&period=2026-Q3", "message.not-query"),
        ("indicator=%00&area=04&period=2026-Q3", "message.character"),
        ("indicator=%ED%A0%80&area=04&period=2026-Q3", "message.not-query"),
        ("indicator=KT-05;area=04;period=2026-Q3", "message.invalid"),
        ("indicator", "message.not-query"),
        ("=&=", "message.not-query"),
        ("indicator=KT-05&area=04&period=" + "a" * 50_000, "message.invalid"),
        ("indicator=KT-05&area=04&period=2026-Q3" + "&x=1" * 9_000, "message.not-query"),
    ],
)
def test_query_strings(world: World, judge: Judge, query: str, code: str) -> None:
    prepared = world.rest("y-te").prepare("GET", f"/indicator/v1/values?{query}")
    judge.refused(ask(world.identity("y-te"), of(prepared)), code)


@pytest.mark.attack("HTTP misused")
@pytest.mark.parametrize(
    "key",
    [
        '""',
        '"' + "a" * 129 + '"',
        '"a"b"',
        '"a\\\\b"',
        '"a b"',
        "abc",
        "'abc'",
        '"a";x=1',
        '"a", "b"',
        '"a',
        "?1",
        ":YQ==:",
    ],
)
def test_forms_of_an_idempotency_key(world: World, judge: Judge, key: str) -> None:
    judge.refused(send(world, post(world, headers={"idempotency-key": key})), "request.no-message-id", 400)


def test_a_key_of_full_length_and_one_that_is_not_ascii(world: World, judge: Judge) -> None:
    told = send(world, post(world, headers={"idempotency-key": '"' + "z" * 118 + f'{time.time_ns() % 10**10:010}"'}))
    assert told is not None and told.status == 200
    prepared = post(world)
    spoiled = Prepared(
        prepared.method,
        prepared.path,
        prepared.target,
        {**prepared.headers, "idempotency-key": '"\xe9"'},
        prepared.body,
    )
    judge.refused(send(world, spoiled), "signature.malformed", 400)
    judge.refused(send(world, post(world, message_id="")), "request.no-message-id", 400)


def json_bodies() -> dict[str, tuple[bytes, str]]:
    raw = alert()
    bad, wrong, character = "message.not-json", "message.invalid", "message.character"
    one = b'"tinhChat": 1'
    assert one in raw
    return {
        "field twice": (raw[:-1] + b',"tinhChat":1}', bad),
        "NaN": (raw.replace(one, b'"tinhChat": NaN'), bad),
        "Infinity": (raw.replace(one, b'"tinhChat": -Infinity'), bad),
        "1e400": (raw.replace(one, b'"tinhChat": 1e400'), wrong),
        "exponent beyond Decimal": (raw.replace(one, b'"tinhChat": 1e9999999999999999999999'), bad),
        "huge integer": (raw.replace(one, b'"tinhChat": ' + b"9" * 100_000), bad),
        "deep": (raw[:-1] + b',"x":' + b"[" * 300 + b"]" * 300 + b"}", bad),
        "very deep": (b"[" * 2_000_000, bad),
        "lone surrogate": (raw.replace(b'"ghiChu": "', b'"ghiChu": "\\udfff'), character),
        "lone surrogate as a name": (raw[:-1] + b',"\\ud800":1}', character),
        "null character": (raw.replace(b'"ghiChu": "', b'"ghiChu": "\\u0000'), character),
        "two byte order marks": (b"\xef\xbb\xbf" * 2 + raw, bad),
        "UTF-16": (raw.decode().encode("utf-16"), bad),
        "Latin-1": (raw.replace("á".encode(), b"\xe1", 1) if "á".encode() in raw else raw + b"\xe1", bad),
        "garbage behind": (raw + b" x", bad),
        "two values": (raw + raw, bad),
        "only spaces": (b"   ", bad),
        "a list": (b"[]", wrong),
        "null": (b"null", wrong),
        "unknown fields": (json.dumps({f"k{number}": number for number in range(50_000)}).encode(), wrong),
        "empty items": (b'{"chiTiet":[' + b",".join([b"{}"] * 100_000) + b"]}", wrong),
        "a million empty items": (b'{"chiTiet":[' + b",".join([b"{}"] * 1_000_000) + b"]}", bad),
        "two million numbers": (b'{"chiTiet":[' + b",".join([b"1"] * 2_000_000) + b"]}", bad),
    }


@pytest.mark.attack("JSON: fields twice, NaN, depth, numbers")
@pytest.mark.parametrize("name", list(json_bodies()))
def test_json_bodies(world: World, judge: Judge, plain: float, name: str) -> None:
    body, code = json_bodies()[name]
    began = time.monotonic()
    judge.refused(send(world, post(world, body)), code, 400 if code == "message.not-json" else 422)
    assert time.monotonic() - began < MUCH * plain
