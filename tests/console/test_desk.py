"""The people's listener: a page that works without scripts, in both languages, and the addresses for machines on both
listeners."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sqlalchemy import Connection, insert, select

from contracts.base.errors import Ours
from contracts.folder.bundle import catalogue_folders
from gateway.console.app import build_desk, build_metrics
from gateway.console.roles import Role
from gateway.console.site.render import POLICY
from gateway.console.words import WORDS
from gateway.doors import health
from gateway.doors.api.services import DeskServices
from gateway.doors.counts import Counts, Pulse
from gateway.journal.database import writing
from gateway.journal.errors import JOURNAL_SCHEMA_ALTERED
from gateway.journal.schema import tables
from gateway.push.store import Totals
from gateway.registry.changes import granting
from gateway.registry.errors import REGISTRY_ALTERED
from gateway.registry.restore_lock import confirm, hold
from gateway.registry.seals.revisions import raise_revision
from gateway.signals import stored
from gateway.transfer.states import State
from security.grants.grants import Grant
from tests.console.people import Desk as Office
from tests.doors.api.client import Answer, World, ask
from tests.doors.told_metrics import metrics
from tests.signals.counting import counted

ONE = "01935b6e-0000-7000-8000-000000000001"


class Desk:
    def __init__(self, world: World) -> None:
        services = world.services
        self.app = build_desk(
            DeskServices(
                services.engine, services.registry, services.newest_checkpoint, services.settings, services.clock
            )
        )

    async def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        return await ask(self.app, method, target, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_in_both_languages(world: World, desk: Desk, people: Office) -> None:
    await world.hand_in(ONE, {"identifier": "secret-body"})
    await world.signed("canh-bao", "/feeds/incident-alert/v1")  # refused
    world.sequence()
    assert WORDS["vi"].keys() == WORDS["en"].keys()
    lan = await people.signed_in("lan", Role.OFFICER)
    for language, words in WORDS.items():
        assert words["queue.held"] in (await lan.get(f"/console/status?lang={language}")).body.decode()
        answer = await desk.get(f"/console/status?lang={language}")
        text = answer.body.decode()
        assert (
            answer.status == 200
            and answer.headers["content-language"] == language
            and f'<html lang="{language}">' in text
        )
        assert words["systems"] in text and words["state.accepted"] in text
        assert "access.no-operation" in text
        assert "secret-body" not in text and ONE not in text and "192.0.2.7" not in text
        tags = Tags()
        tags.feed(text)
        assert not tags.open and not {"iframe", "form", "style"} & set(tags.seen)
        assert not any(name.startswith("on") or name == "style" for name, _ in tags.attributes)
        assert text.count("<h1") == 1 and text.count('scope="col"') >= 9


async def test_names_are_for_who_signed_in(world: World, desk: Desk, people: Office) -> None:
    await world.signed("canh-bao", "/feeds/incident-alert/v1")  # refused
    world.sequence()
    snapshot = world.services.registry.snapshot
    systems = snapshot.systems
    names = {*systems, *(each.title.en for each in systems.values()), *(each.agency for each in systems.values())}
    names -= {word for each in snapshot.contracts.values() for word in each.contract.title.vi.split()}  # everybody's

    def named(page: bytes) -> set[str]:
        shown = page.decode().partition("<main")[2]
        return {each for each in names if re.search(rf"(?<![\w-]){re.escape(each)}(?![\w-])", shown)}

    for path in ("/console/status?lang=en", "/console/status?lang=vi"):
        assert not named((await desk.get(path)).body)
    told = (await desk.get("/api/status")).json["refusals"]
    assert told and not {"caller", "contract", "operation"} & set(told[0])
    own = await people.signed_in("huong", Role.AGENCY, agency="H14.2")
    assert not named((await own.get("/console/status?lang=en")).body)
    lan = await people.signed_in("lan", Role.OFFICER)
    page = (await lan.get("/console/status?lang=en")).body
    assert named(page) >= set(systems) & names and b"H14.2/canh-bao" in page


async def test_the_policy_is_strict(desk: Desk) -> None:
    answer = await desk.get("/console/status")
    assert answer.headers["content-security-policy"] == POLICY and "unsafe" not in POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-language"] == "vi"
    assert (await desk.get("/console/status", accept_language="en-GB,vi;q=0.5")).headers["content-language"] == "en"
    style = await desk.get("/console/console.css")
    assert style.status == 200 and style.headers["content-type"].startswith("text/css")
    home = await desk.get("/")
    assert home.status == 303 and home.headers["location"] == "/console"


async def test_what_stands_in_the_registry_is_escaped(world: World, people: Office) -> None:
    with writing(world.engine) as connection:
        connection.execute(
            tables.system.update().where(tables.system.c.id == "y-te").values(title_vi="<script>alert(1)</script>")
        )
        connection.execute(
            tables.instance.update().where(tables.instance.c.key == "registry.revision").values(value="999")
        )
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)
    lan = await people.signed_in("lan", Role.OFFICER)
    text = (await lan.get("/console/status?lang=vi")).body.decode()
    assert "<script>" not in text and "&lt;script&gt;" in text


async def test_status_for_programs(world: World, desk: Desk) -> None:
    await world.hand_in(ONE, {})
    world.sequence()
    answer = await desk.get("/api/status")
    assert answer.status == 200
    status = answer.json
    assert status["transfers"]["accepted"] == 1 and set(status["transfers"]) == {state.value for state in State}
    assert status["log"]["size"] == 1 and status["queue"]["waiting"] == 0
    assert {contract["name"] for contract in status["contracts"]} == {
        *(f"{each.parent.name}/{each.name}" for each in catalogue_folders()),
        "handling/v1",
    }
    assert {"do-thi", "kinh-te"} <= {system["id"] for system in status["systems"]}


async def test_a_system_whose_keys_are_revoked_is_not_green(world: World, desk: Desk) -> None:
    with writing(world.engine) as connection:
        key = tables.system_key
        connection.execute(key.update().where(key.c.system == "canh-bao").values(state="revoked"))
        connection.execute(
            tables.instance.update().where(tables.instance.c.key == "registry.revision").values(value="999")
        )
    with world.engine.connect() as connection:
        world.services.registry.refresh(connection)
    systems = {each["id"]: each for each in (await desk.get("/api/status")).json["systems"]}
    assert systems["canh-bao"]["ready"] == "revoked" and systems["canh-bao"]["active"]
    text = (await desk.get("/console/status?lang=en")).body.decode()
    assert '<td class="bad">cannot call: keys revoked</td>' in text
    assert 'lgsp_systems{state="revoked"} 1' in (await desk.get("/metrics")).body.decode()


@pytest.mark.parametrize(
    "path",
    ["/transfers/x", "/feeds/incident-alert/v1", "/oauth/token", "/nothing", "/audit/proof/x", "/console/nothing"],
)
async def test_nothing_of_the_exchange_is_here(path: str, desk: Desk) -> None:
    assert (await desk.get(path)).status == 404


async def test_nothing_can_be_changed_here(desk: Desk) -> None:
    for path in ("/console/status", "/api/status", "/audit/checkpoint", "/healthz", "/contracts"):
        assert (await desk.get(path, "POST")).status in (404, 405), path


async def test_documents_are_here_too(desk: Desk) -> None:
    answer = await desk.get("/contracts", accept="application/json")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("target", "accepted", "language", "shown", "hidden"),
    [
        ("/contracts", "", "vi", "Cảnh báo sự cố", "Incident alert"),
        ("/contracts", "en", "en", "Incident alert", "Cảnh báo sự cố"),
        ("/contracts?lang=en", "vi", "en", "Incident alert", "Cảnh báo sự cố"),
    ],
)
async def test_the_catalogue_in_a_browser_is_in_one_language(
    desk: Desk, target: str, accepted: str, language: str, shown: str, hidden: str
) -> None:
    text = (await desk.get(target, accept="text/html", accept_language=accepted)).body.decode()
    assert f'<html lang="{language}">' in text and shown in text and hidden not in text
    assert (
        f'href="/contracts/incident-alert/v1?lang={language}"' in text
        and f"?lang={'vi' if language == 'en' else 'en'}" in text
    )


async def test_every_document_that_the_desk_lists_is_on_the_desk(desk: Desk) -> None:
    """By path alone: the exchange listener's certificate is of an authority that no browser knows."""
    listed = (await desk.get("/contracts", accept="application/json")).json
    documents = [each[word] for each in listed for word in ("openapi", "schema", "samples", "dcat", "wsdl")]
    documents += [address for each in listed for address in each["foreign"].values()]
    page = (await desk.get("/contracts/indicator/v1?lang=en", accept="text/html")).body.decode()
    links = [html.unescape(each) for each in re.findall(r'href="([^"#]+)"', page)]
    assert len(documents) > 40 and any(each.endswith("?wsdl") for each in links)
    for address in [*documents, *links]:
        assert address.startswith("/"), address
        answer = await desk.get(address)
        assert answer.status == 200 and answer.body, address
    # calls go to the exchange listener all the same
    assert all(each["soap"].startswith("https://") for each in listed)
    wsdl = (await desk.get(listed[0]["wsdl"])).body.decode()
    assert f'location="{listed[0]["soap"]}"' in wsdl
    assert (await desk.get(listed[0]["wsdl"].partition("?")[0], method="POST")).status == 404


async def test_machines_on_both_listeners(world: World, desk: Desk) -> None:
    await world.hand_in(ONE, {})
    world.sequence()
    for app in (desk.app, world.app):
        assert (await ask(app, "GET", "/healthz")).body == b"ok\n"
        ready = await ask(app, "GET", "/readyz")
        assert ready.status == 200 and ready.json["ok"] is True and ready.json["checks"]["keeper"] is False


async def test_metrics_are_never_on_the_exchange_listener(world: World, desk: Desk) -> None:
    await world.hand_in(ONE, {})
    world.sequence()
    settings = world.services.settings
    folder = settings.run / stored.FOLDER
    for _ in range(2):
        counted(settings.run, "door", "meters.limit('agency'); meters.limit('agency'); meters.limit('cost')")
    (folder / "counter_door-9.db").write_bytes(b"")  # a door that has just begun
    answer = await ask(desk.app, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    for part in (
        'lgsp_transfers{state="accepted"} 1',
        "lgsp_database_up 1.0",
        "lgsp_log_entries 1",
        'lgsp_queue{state="waiting"} 0',
        'lgsp_push_subscriptions{state="active"} 0',
        "lgsp_push_lag_seconds 0.0",
        'lgsp_limit_refusals_total{limit="agency"} 4',
        'lgsp_limit_refusals_total{limit="cost"} 2',
    ):
        assert part in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) lgsp_\w+ .+|lgsp_\w+(\{(\w+="[\w/.+-]+",?)+\})? [0-9.e+-]+', line), line
    refused = await ask(world.app, "GET", "/metrics")
    assert refused.status == 404 and b"lgsp_" not in refused.body


async def test_metrics_of_an_address_of_their_own_are_there_alone(world: World) -> None:
    """A listener of `metrics_port` serves these and the probes, and no page."""
    services = DeskServices(
        world.services.engine,
        world.services.registry,
        world.services.newest_checkpoint,
        replace(world.services.settings, metrics_port=9464),
        world.services.clock,
    )
    alone = build_metrics(services)
    assert (await ask(alone, "GET", "/metrics")).status == 200
    assert (await ask(alone, "GET", "/healthz")).body == b"ok\n"
    assert (await ask(alone, "GET", "/console")).status == 404
    assert (await ask(build_desk(services), "GET", "/metrics")).status == 404


async def test_not_ready_without_a_database(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: Connection, now: float) -> Pulse:
        raise OSError("away")

    for each in ("pulse", "count"):
        monkeypatch.setattr(health, each, broken)
    ready = await ask(world.app, "GET", "/readyz")
    assert ready.status == 503 and ready.json["checks"]["database"] is False
    told = await ask(desk.app, "GET", "/metrics")
    assert told.status == 200 and "\nlgsp_database_up 0.0\n" in told.body.decode()


async def test_not_ready_while_a_restored_instance_is_held(world: World, desk: Desk) -> None:
    """With the next step, on both listeners; what is counted is still given."""
    for change, until, then in (
        (
            lambda connection: hold(connection, world.services.clock(), {}),
            type(None),
            "lgsp restore confirm --by WHO (production: --as PERSON --key FILE); one for practice is never confirmed",
        ),
        (confirm, str, "wait"),
    ):
        with writing(world.services.engine) as connection:
            change(connection)
            world.services.registry.refresh(connection)
        for app in (desk.app, world.app):
            ready = await ask(app, "GET", "/readyz")
            assert ready.status == 503 and ready.json["ok"] is False and ready.json["checks"]["database"]
            told = ready.json["checks"]["restored"]
            assert isinstance(told["until"], until) and told["next"] == then
        assert (await ask(desk.app, "GET", "/metrics")).status == 200


def test_metrics_before_the_first_checkpoint() -> None:
    transfers, queue = {"accepted": 0}, {"waiting": 0}
    pushes = Totals({}, 0, 0.0)
    none = Counts(
        transfers=transfers, queue=queue, log_size=0, log_pending=0, checkpoint_age=None, keepers=0, pushes=pushes
    )
    assert "checkpoint_age" not in metrics(none)


def test_all_words_stand_in_both_languages() -> None:
    assert set(WORDS["vi"]) == set(WORDS["en"])
    assert {f"state.{state}" for state in State} <= set(WORDS["vi"])
    assert all(value.strip() for words in WORDS.values() for value in words.values())


async def test_reading_the_status_writes_nothing(world: World, desk: Desk) -> None:
    await desk.get("/console/status")
    with world.engine.connect() as connection:
        assert connection.execute(select(tables.log_pending.c.id)).first() is None


@pytest.mark.parametrize("target", ["/console/status", "/contracts"])
@pytest.mark.parametrize(
    "failure",
    [
        REGISTRY_ALTERED(rows="system_key k-1: added", count=1),
        JOURNAL_SCHEMA_ALTERED(objects="trigger swallow: added", count=1),
    ],
    ids=lambda each: str(each.code),
)
async def test_a_page_says_that_the_database_was_altered(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch, target: str, failure: Ours
) -> None:
    """To whoever opens a page, with what to do next; names of rows and objects are for the operators' log."""
    registry = world.services.registry
    monkeypatch.setattr(registry, "_schema_refused", failure)
    for language, told in (("vi", failure.title("vi")), ("en", failure.title("en"))):
        answer = await desk.get(target, accept_language=language)
        text = answer.body.decode()
        assert answer.status == 503 and told in text and failure.next(language) in html.unescape(text), answer.headers  # type: ignore[arg-type]
        assert "k-1" not in text and "swallow" not in text
    assert (await desk.get("/healthz")).status == 200
    ready = await desk.get("/readyz")
    assert ready.status == 503 and ready.json["checks"]["reason"] == failure.code


@pytest.mark.parametrize(("days", "state"), [(0, "waiting"), (30, "overdue")])
async def test_grants_that_were_adopted_are_shown_until_two_officers_confirm_them(
    desk: Desk, world: World, days: int, state: str
) -> None:
    now = world.services.clock()
    with writing(world.services.engine) as connection:
        body = granting.content_of(connection, "G-0014").content() | {"id": "adopted-1"}
        row = replace(Grant.from_json(body), valid_from=float(int(now - days * 86400)))
        values = {"id": row.id, "body": row.canonical().decode(), "state": "active", "source": granting.ADOPTED}
        connection.execute(insert(tables.access_grant).values(values))
        raise_revision(connection)
        world.services.registry.refresh(connection)
    told = json.loads((await desk.get("/api/status")).body)["unconfirmed"]
    assert [(each["grant"], each["agency"], each["contract"], each["state"]) for each in told] == [
        ("adopted-1", "H14.4", "indicator/v1", state)
    ]
    for language in ("vi", "en"):
        page = (await desk.get(f"/console/status?lang={language}")).body.decode()
        assert html.escape(WORDS[language][f"unconfirmed.{state}"]) in page and "adopted-1" not in page
