"""What agencies have with each other: handlings, cases, alarms and scorecards. Somebody of a third agency, and its
system, learn nothing of them: by ids, filters, cursors, counts, steps and links, on pages and at both interfaces."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from gateway.console.roles import Role
from gateway.journal.database import lock_of, writing
from gateway.watch import alarms
from gateway.watch.alarms import Condition, Kind, Look
from tests.console.people import Desk
from tests.console.test_handlings import opened
from tests.console.test_operations import call, token
from tests.console.test_operations_of_pages import Script

CASE = {"kind": "complaint", "subject": "the-secret-subject", "text": "the-secret-text", "receivers": ["H14.3"]}
NOTHING = "01935b6e-0000-7000-8000-00000000dead"
AGENCY, SYSTEM = "H14.7", "thuc-phan"  # a system of another agency still; nothing of this is theirs
PAGES = ("cases", "handlings", "scorecards", "watch", "wall", "reports", "transfers", "go")


async def things(people: Desk) -> dict[str, str]:
    """A handling of H14.3 whose message H14.5 sent, a case between them, and an alarm."""
    handling = opened(people, 1)
    case = str((await Script(people, "hoa", Role.AGENCY, agency="H14.5").get("openCase", CASE))["case"])
    engine, look = people.world.engine, Look(people.world.services.registry.snapshot, people.now())
    with writing(engine, lock_of(engine)) as connection:
        alarms.settle(connection, Kind.DOWN, [Condition("do-thi", "", people.now() - 600.0, {})], look)
        (alarm,) = alarms.raised(connection)
    return {"handling": handling, "case": case, "alarm": alarm.id}


@pytest.mark.attack("idor")
async def test_a_third_agency_sees_nothing_of_them_on_any_page(people: Desk) -> None:
    known = await things(people)
    marks = [each.encode() for each in (*known.values(), "the-secret-subject", "the-secret-text")]
    minh = await people.signed_in("minh", Role.OPERATOR)
    lan = await people.signed_in("lan", Role.AGENCY, agency=AGENCY)
    for sees, person in ((True, minh), (False, lan)):
        bodies = b""
        for page in PAGES:
            for query in ("", "?view=all&list=all", "?agency=H14.3&list=all", f"?kind=complaint&after={known['case']}"):
                asked = query.partition("after=")[2].encode() or b"-"  # the page repeats what it was asked
                bodies += (await person.get(f"/console/{page}{query}")).body.replace(asked, b"-")
        assert [mark in bodies for mark in marks[:4]] == [sees] * 4
    for page, id in (("handlings", "handling"), ("cases", "case"), ("watch", "alarm")):
        body = (await lan.get(f"/console/{page}/{known[id]}")).body
        assert b"the-secret" not in body and b"H14.5" not in body, page


@pytest.mark.attack("idor")
async def test_nor_by_the_operations_their_filters_and_counts(people: Desk) -> None:
    known = await things(people)
    people.add("lan", Role.AGENCY, agency=AGENCY)
    mine = token(people, "lan")

    async def told(path: str, body: object = None) -> tuple[int, str]:
        answer = await call(people, mine, "GET" if body is None else "POST", f"/api{path}", body)
        return answer.status, answer.body.decode()

    for path in ("handlings", "cases", "alarms"):
        nothing = await told(f"/{path}")
        for more in (
            *({"list": each} for each in ("overdue", "ended", "all")),
            *({"view": each} for each in ("overdue", "ended", "all")),
            {"agency": "H14.3", "list": "all"},
            {"kind": "chieu-sang"},
            {"kind": "complaint", "view": "all"},
            {"area": "01273"},
            {"state": "ended"},
            {"after": known["case"]},
            {"cursor": f"0.{known['handling']}"},
        ):
            status, body = await told(f"/{path}?{urlencode(more)}")
            assert (
                status == 400
                or json.loads(body).items() ^ json.loads(nothing[1]).items() == set()
                or (all(not each for name, each in json.loads(body).items() if name != "at"))
            ), (path, more, body)
    for path, id, sent in (
        ("/handlings/{}", "handling", None),
        *((f"/handlings/{{}}/{each}", "handling", {"step": "accept"}) for each in ("steps", "message")),
        *(("/handlings/{}/steps", "handling", {"step": each, "reason": "x"}) for each in ("@open", "fly", "finish")),
        ("/cases/{}", "case", None),
        *((f"/cases/{{}}/{act}", "case", {"text": "x"}) for act in ("acknowledge", "answer", "close", "remind")),
        ("/alarms/{}/acknowledge", "alarm", {"reason": "a reason that is long enough"}),
    ):
        one, none = [await told(path.format(each), sent) for each in (known[id], NOTHING)]
        assert one[0] >= 400 and one[0] == none[0], (path, sent, one)
        assert one[1].replace(known[id], NOTHING) == none[1], (path, sent, one[1])
    status, body = await told("/scorecards")
    assert status == 200 and {each["agency"] for each in json.loads(body)["scorecards"]} == {AGENCY}
    one, none = await told("/scorecards/do-thi"), await told("/scorecards/nobody")
    assert (one[0], one[1].replace("do-thi", "nobody")) == none


@pytest.mark.attack("idor")
async def test_nor_by_its_system(people: Desk) -> None:
    known, world = await things(people), people.world
    for path in ("/handlings?list=all", "/handlings?list=all&contract=field-report/v1", "/cases?view=all"):
        found = (await world.signed(SYSTEM, path)).json
        assert not [each for each in found.values() if each], path
    for path in (f"/cases?after={known['case']}", f"/handlings?after=0.{known['handling']}"):
        assert not [each for each in (await world.signed(SYSTEM, path)).json.values() if each], path
    for path, id in (("/handlings/{}", "handling"), ("/cases/{}", "case")):
        one, none = [(await world.signed(SYSTEM, path.format(each))) for each in (known[id], NOTHING)]
        told = [{name: value for name, value in each.json.items() if name != "transfer"} for each in (one, none)]
        assert one.status == 404 and json.dumps(told[0]).replace(known[id], NOTHING) == json.dumps(told[1])
