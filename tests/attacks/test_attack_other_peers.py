"""A vendor states the address of another system as her own: nothing of HTTP reaches that one, in any kind of call."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.errors import Acted, ProviderFailure
from adapters.http import Call, send
from adapters.model import Endpoint
from adapters.opening import ConnectionProbe, OtherHost, OtherSystem, Peers, names, open_session
from contracts.base.words import Words
from gateway.push.operators import ANYWHERE
from gateway.push.peers import OwnAuthorities, known_peers
from gateway.push.posting import Poster
from gateway.registry.records import System
from gateway.settings import Settings
from security.http_signatures import HttpRequest
from security.pki import authority
from security.pki.authority import Authority


@dataclass
class Place:
    """A provider with a certificate of some issuer; `seen` are the paths of the requests that reached it."""

    peers: Peers
    outside: bool
    url: str = ""
    seen: list[str] = field(default_factory=list)


def served(issuer: Authority, system: str, hosts: tuple[str, ...], folder: Any) -> ssl.SSLContext:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = authority.issue_tls(issuer, system, private.public_key(), time.time(), hosts=hosts)
    chain, key = folder / f"{system}.crt", folder / f"{system}.key"
    chain.write_bytes(pem + issuer.pem)
    key.write_bytes(authority.private_pem(private))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


@pytest_asyncio.fixture(params=["own", "outside"])
async def place(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Place]:
    """The system `victim` at localhost, certified by this instance's issuer, or by an outside authority."""
    roots = {name: authority.make_root(name, time.time()) for name in ("own", "outside")}
    issuers = {name: authority.make_issuer(root, f"{name} TLS", time.time()) for name, root in roots.items()}
    (tmp_path / "anchors.pem").write_bytes(roots["own"].pem + issuers["own"].pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    for root in roots.values():
        tls.load_verify_locations(cadata=root.pem.decode())
    own = OwnAuthorities(tmp_path / "anchors.pem").issued
    made = Place(Peers(tls, own, strict=lambda system: system.startswith("tenant")), request.param == "outside")

    async def take(asked: web.Request) -> web.Response:
        made.seen.append(asked.path)
        return web.Response(text="secret of another")

    app = web.Application()
    app.router.add_route("*", "/{all:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = served(issuers[request.param], "victim", ("localhost",), tmp_path)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server: Any = site._server
    made.url = f"https://localhost:{server.sockets[0].getsockname()[1]}/in"
    yield made
    await runner.cleanup()


async def reached(place: Place, system: str, peers: Peers | None = None) -> str:
    """Empty, or why nothing was sent."""
    async with open_session(peers or place.peers) as session:
        try:
            await send(session, system, Call(HttpRequest("POST", place.url, {}, b"{}"), 5.0))
        except ProviderFailure as failed:
            assert failed.acted is Acted.NO
            return str(failed.facts["reason"])
    return ""


@pytest.mark.attack("ssrf")
async def test_nothing_is_sent_to_a_system_that_another_stated(place: Place) -> None:
    for _ in range(2):
        assert await reached(place, "tenant-thief") == OtherSystem.why
    assert not await ConnectionProbe(place.peers)(place.url, "tenant-thief")
    assert place.seen == []


@pytest.mark.attack("ssrf")
async def test_a_kept_connection_serves_only_the_system_that_it_was_opened_for(place: Place) -> None:
    known = lambda system, der: system == "victim" or None  # noqa: E731
    peers = replace(place.peers, registered=known, strict=lambda system: True)
    call = Call(HttpRequest("POST", place.url, {}, b"{}"), 5.0)
    async with open_session(peers) as session:
        await send(session, "victim", call)
        with pytest.raises(ProviderFailure):
            await send(session, "thief", call)
        await send(session, "victim", call)
    assert len(place.seen) == 2


async def test_a_registered_certificate_is_enough_and_a_withdrawn_one_never(place: Place) -> None:
    known = replace(place.peers, registered=lambda system, der: True if system == "tenant-victim" else None)
    assert await reached(place, "tenant-victim", known) == ("" if place.outside else OtherSystem.why)
    withdrawn = replace(place.peers, registered=lambda system, der: False)
    assert await reached(place, "victim", withdrawn) == OtherSystem.why


async def test_a_system_that_an_officer_approved_is_known_by_its_name_or_by_its_host(place: Place) -> None:
    assert await reached(place, "victim") == ""
    assert await reached(place, "office") == ("" if place.outside else OtherSystem.why)
    place.url = place.url.replace("localhost", "127.0.0.1")  # which no certificate names
    assert await reached(place, "victim") == (OtherHost.why if place.outside else "")


@pytest.mark.attack("ssrf")
async def test_a_webhook_does_not_reach_a_system_that_another_stated(place: Place) -> None:
    poster = Poster(place.peers, ANYWHERE)
    outcome = await poster.post(place.url, b"{}", {}, system="tenant-thief")
    assert outcome.failure is not None and outcome.failure.code == "push.certificate" and place.seen == []
    assert (await poster.post(place.url, b"{}", {}, system="victim")).failure is None
    await poster.close()


@pytest.mark.attack("ssrf")
def test_only_what_officers_approved_at_one_place_shares_a_certificate() -> None:
    """The simulated systems of a sandbox stand behind one server; a tenant who states its address does not."""
    urls = {"one": "https://localhost:7001/a", "two": "https://LOCALHOST:7001/b", "far": "https://localhost:7002/"}
    systems = {id: System(id, "H14.3", Words(id, id), {}, Endpoint(id, "rest", url)) for id, url in urls.items()}
    systems["none"] = replace(systems["one"], id="none", endpoint=None)
    systems["thief"] = replace(systems["one"], id="thief", agency="NCC.0123ABCD")
    key = SimpleNamespace(system="one", in_force=lambda now: now < 100.0)
    snapshot: Any = SimpleNamespace(systems=systems, tls_key=lambda thumbprint: key)
    now = [0.0]
    settings = Settings(Path("nowhere"), kind="sandbox", push_networks="")
    peers = known_peers(ssl.create_default_context(), lambda _: True, settings, lambda: snapshot, lambda: now[0])
    shared = {id: peers.together(id, "one") for id in ("two", "far", "none", "thief", "unknown")}
    assert shared == {"two": True, "far": False, "none": False, "thief": False, "unknown": False}
    assert not peers.together("one", "thief")
    assert [peers.registered(id, b"x") for id in ("one", "two", "far", "thief")] == [True, None, False, False]
    now[0] = 100.0
    assert [peers.registered(id, b"x") for id in ("one", "two")] == [False, False]


async def test_a_shared_certificate_must_name_the_host(place: Place) -> None:
    peers = replace(place.peers, together=lambda system, named: named == "victim")
    assert await reached(place, "beside", peers) == ""
    place.url = place.url.replace("localhost", "127.0.0.1")
    assert await reached(place, "beside", peers) == OtherHost.why


def test_hosts_are_compared_as_the_standard_says() -> None:
    issuer = authority.make_issuer(authority.make_root("own", time.time()), "own TLS", time.time())
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    hosts = ("one.example", "*.two.example", "192.0.2.7", "*.example")
    certificate = x509.load_pem_x509_certificate(authority.issue_tls(issuer, "a", public, time.time(), hosts=hosts))
    for host in ("one.example", "ONE.example", "one.example.", "a.two.example", "192.0.2.7"):
        assert names(certificate, host), host
    for host in ("two.example", "a.b.two.example", "evil.example.org", "three.example", "192.0.2.8", "example", ""):
        assert not names(certificate, host), host
