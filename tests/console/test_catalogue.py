"""The data catalogue: one entry a contract, the same as page, JSON and RDF; figures of the log; grants by who asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from rdflib import DCAT, DCTERMS, RDF, RDFS, XSD, Graph, Literal, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import Namespace
from sqlalchemy import select

from contracts.faces import rdf
from gateway.console.roles import Role
from gateway.console.work import catalogue as work
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import snapshot
from gateway.registry.snapshot import load_snapshot
from tests.console.officer import ALERTS, CALLER, Story
from tests.console.people import Desk, Reader
from tests.console.test_operations import call, token
from tests.console.test_operations_of_pages import Script
from tests.push.receiving import filled
from tests.registry.making import applied, province
from tests.registry.test_sources import text_with, values

DQV, PROV = Namespace(rdf.PREFIXES["dqv"]), Namespace(rdf.PREFIXES["prov"])
PAGE = f"/console/catalogue/{ALERTS}"


def graph(answer: Any, form: str) -> Graph:
    assert answer.status == 200, answer.body
    return Graph().parse(data=answer.body, format=form)


async def test_feeds_and_entries_match_one_to_one(people: Desk) -> None:
    """Article 14.1: each contract in force is one data set, and each feed that is served is the door of one."""
    contracts = people.world.services.registry.snapshot.contracts
    lan = await people.signed_in("lan", Role.STEWARD)
    it = graph(await lan.get("/console/catalogue", accept="text/turtle"), "turtle")
    root = people.services.settings.base
    sets = {str(each).removeprefix(f"{root}/contracts/"): each for each in it.subjects(RDF.type, DCAT.Dataset)}
    assert sets.keys() == contracts.keys() and len(sets) == len(contracts)
    fed = {
        str(endpoint).removeprefix(f"{root}/feeds/"): [str(each) for each in it.objects(service, DCAT.servesDataset)]
        for service, endpoint in it.subject_objects(DCAT.endpointURL)
        if str(endpoint).startswith(f"{root}/feeds/")
    }
    assert fed == {name: [str(sets[name])] for name, each in contracts.items() if each.contract.fed}
    for name in contracts:
        answer = await people.world.signed("dieu-hanh", f"/feeds/{name}?limit=1")
        assert (answer.json.get("code") == "feed.unknown") is (name not in fed), name


async def test_the_same_is_said_as_page_json_and_rdf(people: Desk) -> None:
    await filled(people.world, 2)
    people.world.sequence()
    minh = await people.signed_in("minh", Role.OPERATOR)
    script = Script(people, "hoang", Role.OPERATOR)
    turtle = graph(await minh.get("/console/catalogue?form=turtle"), "turtle")
    for form, parser in (("json-ld", "json-ld"), ("rdf-xml", "xml")):
        accept = rdf.MEDIA[form].partition(";")[0]  # type: ignore[index]
        other = graph(await minh.get("/console/catalogue", accept=accept), parser)
        assert len(other) == len(turtle)
        one = f"{PAGE}?form=turtle"
        assert isomorphic(graph(await minh.get(one), "turtle"), graph(await minh.get(PAGE, accept=accept), parser))
    known = (await script.get("readDataSet", id="incident-alert", major="v1"))["dataset"]
    at = URIRef(f"{people.services.settings.base}/contracts/{ALERTS}")
    assert {str(each) for each in turtle.objects(at, DCTERMS.title)} == set(known["title"].values())
    assert known["temporal"] is not None and known["temporal"]["begins"] <= known["temporal"]["ends"]
    (period,) = turtle.objects(at, DCTERMS.temporal)
    assert turtle.value(period, DCAT.startDate) == Literal(known["temporal"]["begins"], datatype=XSD.dateTime)
    text = Reader((await minh.get(PAGE)).body).text
    assert known["title"]["en"] in text and known["owner"]["name"]["en"] in text and "continuously updated" in text
    every = Reader((await minh.get("/console/catalogue")).body)
    assert [each for each in every.links if each.startswith("/console/catalogue/")] == [
        f"/console/catalogue/{name}" for name in sorted(people.world.services.registry.snapshot.contracts)
    ]
    answer = await call(people, script.token, "GET", f"/api/catalogue/{ALERTS}", accept="text/turtle")
    assert answer.headers["content-type"].startswith("text/turtle")
    assert isomorphic(graph(answer, "turtle"), graph(await minh.get(f"{PAGE}?form=turtle"), "turtle"))


async def test_figures_are_those_of_the_log_and_name_what_they_count(people: Desk) -> None:
    story = Story(people)
    for number in range(3):
        story.alert(f"BC-{number}")
    story.alert("BC-9", failure="provider.timeout")
    for _ in range(2):
        story.refused("message.invalid", caller=CALLER)
    story.settle()
    minh = await people.signed_in("minh", Role.OPERATOR)
    it = graph(await minh.get(f"{PAGE}?form=json-ld"), "json-ld")
    figures = {
        str(it.value(each, DQV.isMeasurementOf)).rpartition(":")[2]: it.value(each, DQV.value)
        for each in it.subjects(RDF.type, DQV.QualityMeasurement)
    }
    entries = counted(people)
    assert figures == {name: Literal(number) for name, number in entries.items()} and entries["accepted"] == 3
    text = Reader((await minh.get(PAGE)).body).text
    assert f"Refused {entries['refused']} Number of log entries of the contract whose outcome is refused" in text
    people.moved = 40 * 86_400.0
    anew = await people.sign_in("minh")
    assert b"no indexed entries of the last 30 days" in (await anew.get(PAGE)).body


def counted(people: Desk) -> dict[str, int]:
    """The outcomes of the contract, from the texts of the log's entries."""
    found = {"accepted": 0, "refused": 0, "failed": 0, "repeated": 0}
    with people.world.engine.connect() as connection:
        texts = [bytes(each) for each in connection.scalars(select(tables.log_entry.c.entry))]
    entries = [json.loads(each) for each in texts]
    mine = {each["transfer"] for each in entries if each.get("contract") == ALERTS}
    for each in entries:
        if each.get("transfer") in mine:
            if each["kind"] == "outcome":
                found["failed" if each.get("failure") else "accepted"] += 1
            elif each["kind"] == "refusal":
                found["refused"] += 1
            elif each["kind"] == "repeat":
                found["repeated"] += 1
    return found


async def test_nobody_sees_grants_of_others_and_everybody_sees_every_data_set(people: Desk) -> None:
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.2")
    linh = await people.signed_in("linh", Role.VENDOR, agency="H14.2")
    minh = await people.signed_in("minh", Role.OPERATOR)
    names = set(people.world.services.registry.snapshot.contracts)
    seen: dict[str, set[str]] = {}
    for person, role in ((lan, "agency"), (linh, "vendor"), (minh, "all")):
        every = await person.get("/console/catalogue")
        assert {f"/console/catalogue/{each}" for each in names} <= set(Reader(every.body).links)
        bodies = [
            (await person.get(f"/console/catalogue/{name}{form}")).body
            for name in names
            for form in ("", "?form=turtle")
        ]
        bodies.append((await person.get("/console/catalogue?form=rdf-xml")).body)
        text = b"\n".join(bodies).decode()
        seen[role] = {each.id for each in all_grants(people) if each.id in text}
    own = {each.id for each in all_grants(people) if each.agency == "H14.2"}
    assert seen == {"agency": own, "vendor": set(), "all": {each.id for each in all_grants(people)}} and own
    script = Script(people, "thu", Role.AGENCY, agency="H14.2")
    for each in (await script.get("readCatalogue"))["datasets"]:
        assert {grant["id"] for grant in each["access"]["grants"]} <= own
        others = sum(grant.contract == each["id"] and grant.id not in own for grant in all_grants(people))
        assert each["access"]["others"] == others
    assert (await lan.get("/console/catalogue/no-such/v1")).status == 404


def all_grants(people: Desk) -> list[Any]:
    with people.world.engine.connect() as connection:
        return snapshot.all_grants(connection)


@pytest.mark.attack("catalogue: markup in titles")
async def test_a_declared_source_is_named_and_markup_stays_text(people: Desk) -> None:
    """The title of a system is whatever its agency wrote."""
    evil = '"><script>alert(1)</script> <b> ]]> & \\'
    raw = yaml.safe_load(text_with({"y-te": [values("YT-*")]}))
    next(each for each in raw["systems"] if each["id"] == "y-te")["title"]["en"] = evil
    with writing(people.world.engine) as connection:
        applied(province(yaml.safe_dump(raw, allow_unicode=True)), connection, people.now())
        people.world.services.registry.refresh(connection)
        known = work.catalogue(
            connection, people.world.services.registry.snapshot, "https://a.example", work.Sees(), people.now()
        )
    read = [
        Graph().parse(data=known.written(form, "indicator/v1"), format=parser)
        for form, parser in zip(rdf.FORMS, ("turtle", "json-ld", "xml"), strict=True)
    ]
    assert isomorphic(read[0], read[1]) and isomorphic(read[0], read[2])
    agent = URIRef("urn:lgsp:system:y-te")
    assert Literal(evil, lang="en") in set(read[0].objects(agent, RDFS.label))
    (attribution,) = read[0].subjects(PROV.agent, agent)
    assert str(read[0].value(attribution, DCTERMS.description)) == "submitValues: values[].indicator = YT-*"
    assert known.one("indicator/v1").undeclared == () and known.one("field-report/v1").undeclared == ("createRequest",)
    minh = await people.signed_in("minh", Role.OPERATOR)
    for path in ("/console/catalogue", "/console/catalogue/indicator/v1"):
        page = (await minh.get(path)).body.decode()
        assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page, path


async def test_the_command_says_what_the_operation_says(people: Desk) -> None:
    script = Script(people, "hoang", Role.OPERATOR)
    whole = await script.get("readCatalogue")
    with people.world.engine.connect() as connection:
        known = work.catalogue(
            connection, load_snapshot(connection), people.services.settings.base, work.Sees(), people.now()
        )
    assert json.loads(json.dumps(work.stated(known))) == whole


async def test_an_unknown_form_is_refused_by_the_operation(people: Desk) -> None:
    people.add("hoang", Role.OPERATOR)
    mark = token(people, "hoang")
    for form in ("xml", "../etc", "turtle,json"):
        assert (await call(people, mark, "GET", f"/api/catalogue?form={form}")).status == 400
    assert (await call(people, mark, "GET", "/api/catalogue", accept="image/png")).headers[
        "content-type"
    ] == "application/json"
