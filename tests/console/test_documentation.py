"""The documentation site: each link of it leads somewhere, it shows what is published and nothing else, and nobody
needs a session, a script or a cookie to read it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote, unquote, urljoin

import pytest

from contracts.canonical.model import Struct, group
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.console.app import build_desk
from gateway.console.documentation import fixed_pages, searching, served
from gateway.doors.programs import program, programs
from gateway.errors import every
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.sandbox.vendors.web import BESIDE
from tests.console.people import Desk
from tests.doors.api.client import Answer, World, ask
from tests.reference import pages as generated

_ADDRESS = re.compile(r'(?:href|src)="([^"]*)"')
_NAMED = re.compile(r'id="([^"]*)"')


@dataclass
class Site:
    """A listener for people, and all that is reached on it from `/`, by address without the part behind `#`."""

    app: Any
    world: World

    async def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        return await ask(self.app, method, target, {name.replace("_", "-"): value for name, value in headers.items()})

    async def crawl(self, *starts: str) -> tuple[dict[str, Answer], set[tuple[str, str, str]]]:
        """The answers, and each link as (page, address, anchor)."""
        seen, links, waiting = dict[str, Answer](), set[tuple[str, str, str]](), list(starts)
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            answer = seen[at] = await self.get(at, accept="text/html,*/*;q=0.1")
            targets = [answer.headers["location"]] if "location" in answer.headers else []
            if answer.headers.get("content-type", "").startswith("text/html"):
                targets = [html.unescape(each) for each in _ADDRESS.findall(answer.body.decode())]
            for target in targets:
                if target.startswith(("https://", "http://")):
                    continue
                address, _, anchor = urljoin(at, target).partition("#")
                links.add((at, address, unquote(anchor)))
                waiting.append(address)
        return seen, links


def site(world: World, kind: Literal["sandbox", "production"]) -> Site:
    services = Desk(world).services
    settings = replace(services.settings, kind=kind, sandbox_join="open")
    return Site(build_desk(replace(services, settings=settings), BESIDE if kind == "sandbox" else None), world)


@pytest.mark.full
async def test_each_link_leads_somewhere_and_everything_published_is_reached(world: World) -> None:
    at = site(world, "sandbox")
    seen, links = await at.crawl("/", "/docs/en", "/docs/vi")
    assert {each: answer.status for each, answer in seen.items() if answer.status not in (200, 303)} == {}
    pages = {
        each: answer.body.decode()
        for each, answer in seen.items()
        if answer.headers.get("content-type", "").startswith("text/html")
    }
    named = {each: set(map(html.unescape, _NAMED.findall(text))) for each, text in pages.items()}
    ours = {each for each in pages if each.startswith(("/docs", "/contracts"))}
    assert {link for link in links if link[0] in ours and link[2] and link[2] not in named.get(link[1], ())} == set()
    assert "/sandbox/join" in seen
    assert {f"/contracts/files/{each}" for each in ("lgsp.sh", "lgsp.mjs", "Lgsp.java", "Lgsp.cs")} <= seen.keys()
    for each in programs():  # those that the texts to paste fetch
        assert (await at.get(f"/contracts/files/{each}")).body == (program(each) or (b"",))[0]
    assert (await at.get("/contracts/files/..%2flgsp.sh")).status == 404

    commands = re.findall(r"(?m)^#+ `?(lgsp[ a-z0-9-]*)", generated()["commands.md"])
    assert len(commands) > 50
    for language in ("vi", "en"):
        assert {f"/docs/{language}/{name}" for name in (*fixed_pages.guides(), *fixed_pages.APIS)} <= seen.keys()
        assert every().keys() <= named[f"/docs/{language}/errors"]
        assert [each for each in commands if each not in pages[f"/docs/{language}/commands"]] == []
        for name, contract in world.services.registry.snapshot.contracts.items():
            shown = pages[f"/contracts/{name}?lang={language}"]
            for message in contract.exchanged:
                assert all(f"<code>{each}</code>" in shown for each in fields(contract.messages[message]))
            operations = named[f"/contracts/{name}/operations?lang={language}"]
            assert set(contract.contract.operations) <= operations
            documents = {"openapi.json", "schema.json", "codes.json", "samples", "dcat.jsonld"}
            documents |= {"asyncapi.json"} if contract.contract.fed else set()
            assert {f"/contracts/{name}/{each}" for each in documents} <= seen.keys()
            assert {f"/soap/{name}?wsdl", f"/soap/{name}?xsd"} <= seen.keys()


def fields(struct: Struct, seen: frozenset[str] = frozenset()) -> set[str]:
    inner = {each.name for each in struct.fields}
    for each in struct.fields:
        below = group(each.type)
        if below is not None and below.name not in seen:
            inner |= fields(below, seen | {struct.name})
    return inner


async def test_no_page_needs_a_script_or_says_who_reads_it(world: World) -> None:
    at = site(world, "sandbox")
    for path in ("/docs/vi", "/docs/en/integrate", "/docs/en/errors", "/docs/vi/search?q=ky", "/docs/en/in-force"):
        answer = await at.get(path)
        assert answer.headers["content-security-policy"] == served.POLICY
        assert "script" not in served.POLICY and "unsafe" not in served.POLICY and b"<script" not in answer.body
        assert b' style="' not in answer.body and "set-cookie" not in answer.headers
        signed_in = await at.get(path, cookie="lgsp-session=abc; lgsp-language=vi")
        assert signed_in.body == answer.body
        again = await at.get(path, if_none_match=answer.headers["etag"])
        assert again.status == 304 and not again.body
        assert (await at.get(path, "HEAD")).body == b"" and (await at.get(path, "POST")).status == 405
    contract = await at.get("/contracts/indicator/v1", accept="text/html")
    assert (
        await at.get("/contracts/indicator/v1", accept="text/html", if_none_match=contract.headers["etag"])
    ).status == 304


async def test_a_code_has_an_address_of_its_own(world: World) -> None:
    at = site(world, "production")
    answer = await at.get(
        "/docs/errors/contract.type" if "contract.type" in every() else f"/docs/errors/{min(every())}"
    )
    assert answer.status == 303 and answer.headers["location"].startswith("/docs/vi/errors#")
    assert (await at.get("/docs", accept_language="en-GB")).headers["location"] == "/docs/en"


async def test_what_changed_between_versions_is_shown(world: World) -> None:
    at = site(world, "production")
    page = (await at.get("/docs/en/changes/indicator/v1")).body.decode()
    assert "There is one version so far." in page
    folder = next(each for each in catalogue_folders() if each.parent.name == "indicator")
    files = dict(Bundle.from_folder(folder).files)
    version = world.services.registry.snapshot.contracts["indicator/v1"].contract.version
    for number, withdrawn in (("1.9.1", False), ("1.9.2", True)):
        files["contract.yaml"] = files["contract.yaml"].replace(version.encode(), number.encode(), 1)
        files["contract.yaml"] = files["contract.yaml"].replace(b"retention_months: ", b"retention_months: 1", 1)
        bundle, version = Bundle.of(files), number
        row = {"digest": bundle.digest, "contract": "indicator/v1", "version": number, "withdrawn": withdrawn}
        with writing(world.engine) as connection:
            connection.execute(tables.bundle.insert().values(content=bundle.to_bytes(), **row))
    page = (await at.get("/docs/en/changes/indicator/v1")).body.decode()
    assert "→ 1.9.1" in page and "1.9.2" not in page and len(re.findall("<li>.*retention", page)) == 1
    assert "/sandbox/join" not in (await at.get("/docs/en")).body.decode()


async def test_the_search_finds_without_marks(world: World) -> None:
    at = site(world, "production")
    for language, asked, found in (
        ("vi", "chung thu het han", "/docs/vi/"),
        ("en", "signature.parameter", "/docs/en/errors#signature.parameter"),
        ("en", "lgsp registry apply", "/docs/en/commands#"),
        ("en", "indicator period", "/contracts/indicator/v1?lang=en#"),
    ):
        page = (await at.get(f"/docs/{language}/search?q={quote(asked)}")).body.decode()
        assert any(each.startswith(found) for each in _ADDRESS.findall(page)), asked


def test_time_of_a_search_grows_with_the_texts_alone() -> None:
    """A place is what it was in the composed text, whatever letters are before it."""
    each = searching.section("/x", "page", "Đường dây nóng", "Ỷ ỷ ấ İ ß ﬁ kênh 24/7 " * 3)
    (found,) = searching.find([each], "KENH 24")
    assert "kênh 24/7" in found[1]
    assert searching.find([each], "khong co") == [] and searching.find([each], "") == []
