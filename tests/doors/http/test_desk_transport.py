"""How browsers reach the people's listener: TLS, and proxies that speak for them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.doors.http import desk_transport
from gateway.doors.http.desk_transport import Edge
from gateway.doors.http.edge import BadEdge
from gateway.doors.http.listening import bind
from gateway.doors.http.server import make_server
from gateway.journal.schema import tables
from gateway.keys.keyring import DESK, Keyring, hosts_of, make_keys, next_generation
from gateway.processes import desk_certificate
from gateway.processes.sockets import check_ports
from gateway.processes.supervised import NotStarted
from gateway.settings import Settings
from tests.registry.making import new_database


async def shown(scope: Any, receive: Any, send: Any) -> None:
    """Says how the request came."""
    text = f"{scope['scheme']} {scope['client'][0]}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(text)).encode())]}
    )
    await send({"type": "http.response.body", "body": text})


async def come(
    edge: Edge, peer: str, path: str = "/console", **fields: str | list[str]
) -> tuple[int, str, dict[bytes, bytes]]:
    headers = [
        (name.replace("_", "-").encode(), each.encode())
        for name, value in fields.items()
        for each in ([value] if isinstance(value, str) else value)
    ]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "scheme": "http", "method": "GET", "path": path, "client": (peer, 5), "headers": headers}
    await desk_transport.behind(shown, edge)(scope, None, send)
    return sent[0]["status"], sent[1]["body"].decode(), dict(sent[0]["headers"])


def edge(text: str, **more: Any) -> Edge:
    return Edge.of(Settings(Path("x"), desk_edge=text, **more))


async def test_a_proxy_that_is_named_is_believed() -> None:
    named = edge("10.20.0.5 fd00::5")
    for peer in ("10.20.0.5", "::ffff:10.20.0.5", "fd00::5"):
        status, text, headers = await come(named, peer, x_forwarded_proto="https", x_forwarded_for="203.0.113.9")
        assert (status, text) == (200, "https 203.0.113.9") and headers[desk_transport.HSTS[0]]
    _, text, headers = await come(named, "10.20.0.5", x_forwarded_proto="http", x_forwarded_for="2001:db8::1")
    assert text == "http 2001:db8::1" and desk_transport.HSTS[0] not in headers


@pytest.mark.attack("proxy")
async def test_nobody_else_is_believed() -> None:
    lie = {"x_forwarded_proto": "https", "x_forwarded_for": "203.0.113.9"}
    for named, peer in ((edge(""), "10.20.0.5"), (edge("10.20.0.5", desk_tls="embedded"), "10.20.0.6")):
        assert (await come(named, peer, **lie))[1] == f"http {peer}"
    assert (await come(edge("10.20.0.5"), "127.0.0.1", **lie))[1] == "http 127.0.0.1"


@pytest.mark.attack("proxy")
async def test_nobody_goes_past_the_proxy_to_the_pages() -> None:
    named = edge("10.20.0.5")
    for path in ("/console", "/console/sign-in", "/api/entries"):
        assert (await come(named, "10.20.0.6", path, x_forwarded_for="10.20.0.5"))[0] == 421, path
        assert (await come(named, "127.0.0.1", path))[0] == 200
    assert (await come(named, "10.20.0.6", "/healthz"))[0] == 200


@pytest.mark.attack("proxy")
async def test_a_field_that_a_proxy_did_not_set_alone_counts_for_nothing() -> None:
    named = edge("10.20.0.5")
    for proto in ("HTTPS", "https, http", "javascript", ["https", "https"]):
        assert (await come(named, "10.20.0.5", x_forwarded_proto=proto))[1].startswith("http "), proto
    for source in ("203.0.113.9, 10.0.0.1", "unknown", "<script>", "203.0.113.9:80", ["203.0.113.9", "203.0.113.8"]):
        assert (await come(named, "10.20.0.5", x_forwarded_for=source))[1] == "http 10.20.0.5", source


@pytest.mark.parametrize("text", ["proxy.example", "10.20.0.0/24", "*", "name:edge"])
def test_a_proxy_is_named_by_its_address(text: str) -> None:
    with pytest.raises(BadEdge):
        edge(text)


def test_production_does_not_serve_passwords_over_plain_http_to_others(tmp_path: Path) -> None:
    open_ = Settings(tmp_path, kind="production", desk_host="0.0.0.0", exchange_port=1, desk_port=1)
    with pytest.raises(NotStarted, match="plain HTTP"):
        check_ports(open_)
    for good in (
        {"desk_host": "127.0.0.1"},
        {"desk_host": "::1"},
        {"desk_edge": "10.20.0.5"},
        {"desk_tls": "embedded"},
    ):
        assert not desk_transport.is_bare(replace(open_, **good))  # type: ignore[arg-type]
    with pytest.raises(NotStarted, match="desk_certificate: .*none is no file"):
        check_ports(replace(open_, desk_tls="files", desk_certificate=str(tmp_path / "none")))
    with pytest.raises(NotStarted, match="desk_certificate is not set"):
        check_ports(replace(open_, desk_tls="files"))
    (tmp_path / "pem").touch()
    with pytest.raises(NotStarted) as folder:
        check_ports(replace(open_, desk_tls="files", desk_certificate=str(tmp_path / "pem"), desk_key=str(tmp_path)))
    assert f"desk_key: {tmp_path} không phải là tệp" in folder.value.what("vi")
    with pytest.raises(NotStarted, match="desk_edge"):
        check_ports(replace(open_, desk_edge="everybody"))


def test_the_address_says_how_it_is_reached(tmp_path: Path) -> None:
    assert Settings(tmp_path).desk == "http://127.0.0.1:8080"
    assert Settings(tmp_path).desk_named == "http://localhost:8080"  # where browsers offer passkeys
    assert Settings(tmp_path, desk_host="10.20.0.5").desk_named == "http://10.20.0.5:8080"
    assert Settings(tmp_path, desk_base="https://desk.example/").desk_named == "https://desk.example"
    assert Settings(tmp_path, desk_tls="embedded", desk_host="::1").desk == "https://[::1]:8080"
    assert Settings(tmp_path, desk_base="https://desk.example/").desk == "https://desk.example"


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[int]:
    listener = bind("127.0.0.1", 0)
    server = make_server(
        desk_transport.behind(shown, Edge.of(settings)),
        context=desk_transport.context(settings),
        drain_seconds=0.0,
        on_drain=lambda: None,
    )
    task = asyncio.create_task(server.serve_on(listener))
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()
        await task


async def asked(port: int, anchors: Path) -> tuple[str, str, int]:
    """What it answers, its HSTS, and the serial number of its certificate."""
    context = ssl.create_default_context(cafile=anchors)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="desk.example")
    try:
        writer.write(b"GET /console HTTP/1.1\r\nHost: desk.example\r\nConnection: close\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 60)).decode().partition("\r\n\r\n")
        certificate = writer.get_extra_info("peercert")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    hsts = head.lower().partition("strict-transport-security: ")[2].partition("\r\n")[0]
    return body, hsts, int(certificate["serialNumber"], 16)


async def test_a_certificate_of_the_embedded_authority_for_the_host_name(tmp_path: Path) -> None:
    settings = Settings(tmp_path, desk_tls="embedded", desk_base="https://desk.example:8080")
    now, engine = time.time(), new_database(tmp_path)
    try:
        make_keys(settings, now, hosts=["localhost"])
        assert DESK not in Keyring(settings).names
        assert desk_certificate.ensure(settings, engine, now) == "gateway.desk-1"
        assert desk_certificate.ensure(settings, engine, now) is None
        assert DESK in Keyring(settings).names
        with engine.connect() as connection:
            assert b'"keys"' in bytes(connection.execute(tables.log_pending.select()).one().entry)
        anchors = settings.authority / "anchors.pem"
        async with serving(settings) as port:
            text, hsts, first = await asked(port, anchors)
            assert text == "https 127.0.0.1" and hsts == "max-age=31536000"
        next_generation(Keyring(settings), DESK, now).put()
        async with serving(settings) as port:
            assert (await asked(port, anchors))[2] != first, "renewed as the doors' certificate is"
        moved = replace(settings, desk_base="https://other.example")
        assert desk_certificate.ensure(moved, engine, now) == "gateway.desk-3"
        assert "other.example" in hosts_of(Keyring(moved).current(DESK).pem())
    finally:
        engine.dispose()


async def test_certificate_and_key_of_files(tmp_path: Path) -> None:
    made = Settings(tmp_path, desk_tls="embedded", desk_base="https://desk.example")
    engine = new_database(tmp_path)
    make_keys(made, time.time(), hosts=["localhost"])
    desk_certificate.ensure(made, engine, time.time())
    engine.dispose()
    pair = Keyring(made).current(DESK)
    settings = Settings(tmp_path, desk_tls="files", desk_certificate=str(pair.certificate), desk_key=str(pair.key))
    ends = desk_transport.ends(settings)
    assert ends is not None and ends > time.time()
    async with serving(settings) as port:
        assert (await asked(port, made.authority / "anchors.pem"))[0] == "https 127.0.0.1"
    other = replace(settings, desk_key=str(Keyring(made).server_key))
    with pytest.raises(BadEdge):
        desk_transport.context(other)
