"""The Atom feed of alerts, valid by RFC 4287; each entry leads to its alert, valid by OASIS's schema of CAP 1.2."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest_asyncio
from capvalidator import check_schema
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from contracts.wire import atom
from contracts.wire.jsontext import read_json
from gateway.doors.api.feed_atom import _title
from gateway.transfer.stages import Answered
from gateway.workflow.acting import act
from gateway.workflow.opening import Opening
from gateway.workflow.reading import Sought, page
from gateway.workflow.records import Actor, Office, Wanted
from tests.doors.api.client import World, opened
from tests.exchange.house import Call, Gateway
from tests.registry.making import PROVINCE, House

FEED = "/feeds/incident-alert/v1"
ATOM = f"{{{atom.NAMESPACE}}}"
CATALOGUE = Path(__file__).parents[3] / "contracts" / "catalogue" / "incident-alert" / "v1"
SAMPLE: dict[str, Any] = read_json(
    (CATALOGUE / "samples" / "cap12" / "Alert.lu-quet-tra-linh.canonical.json").read_bytes()
)
for each in SAMPLE["info"]:
    each["expires"] = "2099-12-31T23:59:00+07:00"  # it holds, so it stands in the state
GRAMMAR = etree.RelaxNG(etree.parse(str(Path(__file__).with_name("rfc4287.rng"))))


async def alerts(world: World, *names: str) -> None:
    snapshot = world.services.registry.snapshot
    gateway = Gateway(world.engine, world.journal, world.vault, snapshot, now=time.time())
    for name in names:
        answered = await gateway.carry(
            Call("incident-alert/v1", "submitAlert", name, SAMPLE | {"identifier": name}, "quan-trac")
        )
        assert isinstance(answered, Answered), answered
    world.sequence()


def feed_of(body: bytes) -> etree._Element:
    """The feed, if RFC 4287 has nothing against it."""
    root = etree.fromstring(body)
    assert GRAMMAR.validate(root), str(GRAMMAR.error_log)
    for entry in root.iterfind(f"{ATOM}entry"):  # section 4.1.2, and the Schematron rules of the appendix
        assert entry.find(f"{ATOM}author") is not None and entry.find(f"{ATOM}link[@rel='alternate']") is not None
    ids = [each.text for each in root.iterfind(f"{ATOM}entry/{ATOM}id")]
    assert len(set(ids)) == len(ids)
    return root


@pytest_asyncio.fixture
async def filled(world: World) -> AsyncIterator[World]:
    await alerts(world, "A-1", "A-2", "A-3")
    yield world


async def test_the_pages_are_atom_and_lead_to_alerts_of_cap(filled: World) -> None:
    found: list[str] = []
    target = f"{FEED}/atom?format=cap12&limit=2"
    while target:
        answer = await filled.signed("dieu-hanh", target)
        assert answer.status == 200 and answer.headers["content-type"] == "application/atom+xml", answer.body
        root = feed_of(answer.body)
        for entry in root.iterfind(f"{ATOM}entry"):
            assert entry.findtext(f"{ATOM}title") == SAMPLE["info"][0]["headline"]
            href = entry.find(f"{ATOM}link").get("href")  # type: ignore[union-attr]
            alert = await filled.signed("dieu-hanh", urljoin(f"{FEED}/atom", str(href)))
            assert alert.status == 200 and alert.headers["content-type"] == "application/xml"
            assert check_schema(alert.body).passed
            found.append(str(etree.fromstring(alert.body).findtext("{*}identifier")))
        following = root.find(f"{ATOM}link[@rel='next']")
        target = "" if following is None else urljoin(f"{FEED}/atom", str(following.get("href")))
    assert sorted(found) == ["A-1", "A-2", "A-3"]
    assert not check_schema(b"<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'/>").passed
    assert filled.logged("feed-read"), "a reading is in the log"


async def test_an_entry_says_how_its_alert_is_handled(filled: World) -> None:
    services = filled.services
    office = Office(
        engine=filled.engine,
        registry=services.registry,
        vault=filled.vault,
        hash_id=services.exchange.hash_id,
        clock=services.clock,
    )
    assert Opening(office).step(lambda connection: None) == 3
    with filled.engine.connect() as connection:
        rows = page(connection, Sought()).handlings
    assert {row.state for row in rows} == {"sent"}
    act(office, rows[0].id, Wanted("accept"), Actor("system:x", rows[0].agency))
    root = feed_of((await filled.signed("dieu-hanh", f"{FEED}/atom?format=cap12")).body)
    stands = {
        entry.findtext(f"{ATOM}id"): {
            str(each.get("scheme")).rpartition(":")[2]: each.get("term") for each in entry.iterfind(f"{ATOM}category")
        }
        for entry in root.iterfind(f"{ATOM}entry")
    }
    expected = {f"urn:uuid:{row.transfer}": {"state": "sent", "shown": "open"} for row in rows}
    assert stands == expected | {f"urn:uuid:{rows[0].transfer}": {"state": "accepted", "shown": "open"}}
    assert "Taken in" in str(root.xpath("string(.)"))


async def test_it_is_read_under_the_grant_of_the_feed(filled: World) -> None:
    for target in (f"{FEED}/atom?format=cap12", f"{FEED}/events/1?format=cap12"):
        assert (await filled.signed("thuc-phan", target)).status == 403
        assert (await filled.public("GET", target)).status == 401
    for target, code in (
        (f"{FEED}/atom?format=bao-chay-json", "api.invalid"),
        (f"{FEED}/atom", "api.invalid"),
        (f"{FEED}/events/0?format=cap12", "api.invalid"),
        (f"{FEED}/events/4?format=cap12", "feed.no-message"),
        (f"{FEED}/events/999999999999999999?format=cap12", "feed.no-message"),
        ("/feeds/none/v1/atom?format=cap12", "feed.unknown"),
    ):
        answer = await filled.signed("dieu-hanh", target)
        assert (answer.json["code"], answer.status < 500) == (code, True), target


async def test_what_the_grant_hides_is_not_in_it(tmp_path: Path, keys: House) -> None:
    before, grant, rest = PROVINCE.partition("  - id: G-0004\n")
    shown = (before + grant + rest, before + grant + rest.replace('["*"]', '["*", "!@personal"]', 1))
    for name, document in zip(("all", "part"), shown, strict=True):
        (folder := tmp_path / name).mkdir()
        async with opened(folder, keys, document) as world:
            await alerts(world, "A-1")
            feed_of((await world.signed("dieu-hanh", f"{FEED}/atom?format=cap12")).body)
            alert = await world.signed("dieu-hanh", f"{FEED}/events/1?format=cap12")
            assert check_schema(alert.body).passed
            assert (b"<cap:contact>" in alert.body) == (name == "all"), alert.body


@given(st.text(max_size=30), st.floats(0, 4e9))
def test_any_text_makes_a_valid_feed(text: str, at: float) -> None:
    link = atom.Link("alternate", "https://x/?a=1&b=2", "application/xml")
    state = atom.Category(text, "urn:x", text)
    entry = atom.Entry(id="urn:x", title=text, author=text, updated=at, links=[link], categories=[state], summary=text)
    feed = atom.Feed(id="urn:f", title=text, author=text, updated=at, language="vi", links=[link], entries=[entry])
    root = feed_of(atom.written(feed))
    assert root.find(f"{ATOM}entry/{ATOM}link").get("href") == link.href  # type: ignore[union-attr]


def test_a_feed_whose_info_is_no_list_of_alerts_has_the_subject_as_title() -> None:
    for info in (["text"], [None, 1, {"headline": 7}], {"absent": "unknown"}, "text"):
        assert _title({"id": "x", "subject": "s", "data": {"info": info}}) == "s"
