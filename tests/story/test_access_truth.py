"""The officer's questions, each answered by one command right after a month of changes: as the test's own record has
it, which was kept in plain lists and sets while the month was played, and shares no code with the product.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import commandline
from tests.registry.editions import answer_field, edition, swap, written
from tests.story.month import OFFICERS, Month

HERE = timezone(timedelta(hours=7))
TODAY = datetime.now(HERE).date()
DAYS = 30  # the month ends with yesterday
REPORT, INDICATOR, DOSSIER, ALERT = "field-report/v1", "indicator/v1", "dossier-status/v1", "incident-alert/v1"
ONE, TWO = OFFICERS

# --- what everybody in the province knows -----------------------------------------------------------------------------
AGENCY_OF = {
    "canh-bao": "H14.2", "do-thi": "H14.3", "kinh-te": "H14.4", "phan-anh": "H14.5", "mot-cua": "H14.5",
    "dieu-hanh": "H14.0", "y-te": "H14.7", "thuc-phan": "H14.21", "truong-ha": "H14.22", "mot-cua-xa": "H14.22",
}  # fmt: skip
# The fields with a telephone number, by what brings them: the answer, the feed, or the request that a route carries.
PHONES = {
    (INDICATOR, "getValue", "answer"): "responsible.phone",
    (INDICATOR, "feed", "feed"): "values[].responsible.phone",
    (REPORT, "createRequest", "request"): "phone",
}
FEEDS = {INDICATOR: ("feed", "feed"), ALERT: ("feed", "feed"), DOSSIER: ("feed", "feed")}


@dataclass
class Grant:
    """What somebody who watched would have written down of one grant."""

    holder: str  # an agency, or `role …`
    contract: str
    operations: set[str]
    fields: list[str]
    receives: bool = False
    signed: list[tuple[str, float]] = field(default_factory=list)
    suspended: bool = False
    revoked: float | None = None

    @property
    def holds(self) -> bool:
        return len({who for who, _ in self.signed}) == 2 and not self.suspended and self.revoked is None


def founded(holder: str, contract: str, *operations: str, fields: str = "*", receives: bool = False) -> Grant:
    return Grant(holder, contract, {*operations}, fields.split(), receives, [(ONE, 0.0), (TWO, 0.0)])


class Got(NamedTuple):
    """Data of `owner` that `receiver` got."""

    day: int
    owner: str
    receiver: str
    contract: str
    transfer: str | None  # None: by a feed


class Asked(NamedTuple):
    transfer: str
    agency: str
    contract: str
    operation: str
    at: float
    code: str | None
    grants: frozenset[str]
    nearest: str | None


class Changed(NamedTuple):
    """One act: by whom, on what, and its words or fields with the old and new value."""

    at: float
    who: str
    what: str
    how: str
    values: Mapping[str, tuple[Any, Any]]


@dataclass
class Record:
    """The test's own record of the month."""

    got: list[Got] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    roles: dict[str, set[str]] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    to: list[str] = field(default_factory=list)  # the systems to which reports go
    phones: dict[int, set[tuple[str, str, str, str, str, str]]] = field(default_factory=dict)  # by day

    def held(self, agency: str) -> dict[str, Grant]:
        holders = {agency, *(f"role {each}" for each in self.roles[agency])}
        return {name: each for name, each in self.grants.items() if each.holder in holders and each.holds}

    def who_sees_phones(self) -> set[tuple[str, str, str, str, str, str]]:
        """Agency, how, contract, operation, field, grant."""
        found = set()
        for agency in self.roles:
            for name, grant in self.held(agency).items():
                for (contract, operation, how), path in PHONES.items():
                    receives = how == "request"
                    if contract != grant.contract or operation not in grant.operations or receives != grant.receives:
                        continue
                    if receives and not any(AGENCY_OF[system] == agency for system in self.to):
                        continue
                    hidden = {each[1:] for each in grant.fields if each.startswith("!")}
                    if not any(path == each or path.replace("values[].", "").startswith(each) for each in hidden):
                        found.add((agency, how, contract, operation, path, name))
        return found


class Story:
    """Plays, and writes down what it plays. A day is counted from the first of the month; a step takes a minute."""

    def __init__(self, folder: Path) -> None:
        self.first = TODAY - timedelta(days=DAYS)
        self.month = Month(folder, self.at(0, 8))
        self.record = Record()
        self.day = 0
        roles = {"H14.0": "centre", "H14.21": "commune", "H14.22": "commune"}
        every = ("H14.0", "H14.2", "H14.3", "H14.4", "H14.5", "H14.6", "H14.7", "H14.21", "H14.22")
        self.record.roles = {agency: {roles.get(agency, "department")} for agency in every}
        self.record.to = ["do-thi", "truong-ha"]
        self.record.grants = {
            "G-0001": founded("H14.2", ALERT, "submitAlert"),
            "G-0002": founded("H14.6", ALERT, "submitAlert"),
            "G-0003": founded("H14.5", REPORT, "createRequest"),
            "G-0004": founded("role centre", ALERT, "feed"),
            "G-0005": founded("role centre", INDICATOR, "getValue"),
            "G-0006": founded("H14.7", INDICATOR, "getValue", fields="* !responsible"),
            "G-0007": founded("H14.4", INDICATOR, "submitValues"),
            "G-0008": founded("role centre", INDICATOR, "feed"),
            "G-0009": founded("H14.5", DOSSIER, "submitStatus"),
            "G-0010": founded("H14.22", DOSSIER, "getStatus", "submitStatus"),
            "G-0011": founded("role centre", DOSSIER, "feed", "getStatus", fields="* !dossier.applicant"),
            "G-0012": founded("H14.3", REPORT, "createRequest", receives=True),
            "G-0013": founded("H14.22", REPORT, "createRequest", receives=True),
            "G-0014": founded("H14.4", INDICATOR, "getValue", receives=True),
            "G-0015": founded("H14.5", DOSSIER, "getStatus", receives=True),
        }

    def at(self, day: int, hour: int) -> float:
        began = datetime(self.first.year, self.first.month, self.first.day, tzinfo=HERE)
        return (began + timedelta(days=day, hours=hour)).timestamp()

    def on(self, day: int, hour: int = 9) -> None:
        """The next step is on that day. What held at the end of the days before is written down."""
        for each in range(self.day, day):
            self.record.phones[each] = self.record.who_sees_phones()
        self.day, self.month.now = day, self.at(day, hour)

    def wrote(self, who: str, what: str, how: str, **values: tuple[Any, Any]) -> None:
        self.record.changed.append(Changed(self.month.now, who, what, how, values))
        self.month.now += 60

    # --- what people do -------------------------------------------------------------------------------------------
    def propose(self, name: str, grant: Grant, **dates: date) -> None:
        known = self.record.grants.get(name)
        about = {"id": name, "contract": grant.contract, "operations": sorted(grant.operations)}
        about |= {"fields": grant.fields, "purpose": "Đối chiếu", "legal_basis": "Quyết định 451/QĐ-UBND"}
        of, _, role = grant.holder.partition("role ")
        about |= {"role": role} if role else {"agency": of}
        about |= {"receives": True} if grant.receives else {}
        about |= {"valid_from": date(2026, 1, 1), "valid_until": date(2030, 12, 31)} | dates
        self.month.propose(about)
        values = {"fields": (known.fields, grant.fields)} if known is not None else {}
        self.record.grants[name] = grant
        self.wrote("nguoi-van-hanh", f"grant {name}", "added" if known is None else "changed", **values)

    def sign(self, name: str, officer: str) -> None:
        self.month.sign(name, officer)
        self.record.grants[name].signed.append((officer, self.month.now))
        self.wrote(officer, f"grant {name}", "approved")

    def call(self, system: str, contract: str, operation: str, to: str | None, **changed: Any) -> Asked:
        """`to` is the system that answers, None for the gateway itself."""
        agency, now = AGENCY_OF[system], self.month.now
        told = self.month.call(system, contract, operation, **changed)
        by = {
            name
            for name, each in self.record.held(agency).items()
            if (each.contract, each.receives) == (contract, False) and operation in each.operations
        }
        asked = Asked(told.transfer, agency, contract, operation, now, told.code, frozenset(by), None)
        self.record.asked.append(asked)
        if told.code is None and to is not None and not told.queued:
            self.passed(asked, AGENCY_OF[to])
        self.month.now += 60
        return asked

    def passed(self, asked: Asked, provider: str) -> None:
        """The provider got the caller's message, and the caller the provider's answer."""
        got = self.record.got
        got.append(Got(self.day, asked.agency, provider, asked.contract, asked.transfer))
        got.append(Got(self.day, provider, asked.agency, asked.contract, asked.transfer))

    def read(self, system: str, contract: str, owners: set[str], events: int) -> None:
        assert self.month.read(system, contract) == events
        self.record.got += [Got(self.day, owner, AGENCY_OF[system], contract, None) for owner in owners]
        self.month.now += 60


def play(story: Story) -> None:
    month, record = story.month, story.record
    # A ward asks for a right: before it is signed twice, nothing is answered.
    story.on(1)
    story.call("thuc-phan", INDICATOR, "getValue", None)
    story.propose("T-1", Grant("H14.21", INDICATOR, {"getValue"}, ["*", "!responsible"]))
    story.call("thuc-phan", INDICATOR, "getValue", None)
    story.on(2)
    story.sign("T-1", ONE)
    story.call("thuc-phan", INDICATOR, "getValue", None)
    story.on(3)
    story.sign("T-1", TWO)
    story.call("thuc-phan", INDICATOR, "getValue", "kinh-te")
    # It may see telephone numbers for some days.
    story.on(10)
    story.propose("T-1", Grant("H14.21", INDICATOR, {"getValue"}, ["*"]))
    story.sign("T-1", ONE)
    story.call("thuc-phan", INDICATOR, "getValue", None)
    story.sign("T-1", TWO)
    story.call("thuc-phan", INDICATOR, "getValue", "kinh-te")
    story.on(25)
    month.lgsp("access", "revoke", "T-1")
    record.grants["T-1"].revoked = month.now
    story.wrote("nguoi-van-hanh", "grant T-1", "revoked")
    story.call("thuc-phan", INDICATOR, "getValue", None)
    # Yesterday.
    story.on(DAYS - 1)
    story.call("dieu-hanh", INDICATOR, "getValue", "kinh-te")
    story.call("mot-cua-xa", DOSSIER, "getStatus", "mot-cua")
    story.call("thuc-phan", INDICATOR, "getValue", None)
    story.call("kinh-te", INDICATOR, "submitValues", None)
    story.read("dieu-hanh", INDICATOR, {"H14.4"}, 1)
    story.on(DAYS)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    told = Story(tmp_path_factory.mktemp("month"))
    try:
        play(told)
    finally:
        told.month.close()
    yield told


def ask(story: Story, *words: str, ends: int = 0) -> dict[str, Any]:
    """One command, now."""
    code, out, err = commandline.lgsp(*words, "--data", str(story.month.settings.data), "--json")
    assert code == ends, out + err
    told: dict[str, Any] = json.loads(out)
    return told


def test_who_got_an_agencys_data_yesterday(story: Story) -> None:
    yesterday = str(TODAY - timedelta(days=1))
    for agency in story.record.roles:
        found = ask(
            story, "audit", "search", "--agency", agency, "--role", "owner", "--from", yesterday, "--to", yesterday
        )
        told = set()
        for entry in found["entries"]:
            roles = {(each["role"], each["agency"]) for each in entry["parties"]}
            others = {whose for role, whose in roles if role in ("caller", "provider", "reader")} - {agency}
            transfer = None if entry["kind"] == "feed-read" else entry["about"]
            told |= {(receiver, entry["contract"], transfer) for receiver in others}
        wanted = {
            (each.receiver, each.contract, each.transfer)
            for each in story.record.got
            if (each.owner, each.day) == (agency, DAYS - 1)
        }
        assert told == wanted, agency
    assert {each.owner for each in story.record.got if each.day == DAYS - 1} >= {"H14.4", "H14.5", "H14.0"}


def test_was_this_refusal_right_and_was_this_call_lawful(story: Story) -> None:
    """Each judged as it was decided, though its grant was changed or revoked since."""
    for asked in story.record.asked:
        told = ask(story, "access", "explain", "--transfer", asked.transfer, ends=0 if asked.code is None else 1)
        assert (told["agency"], told["contract"], told["operation"]) == (asked.agency, asked.contract, asked.operation)
        assert told["agrees"] and told["allowed"] is (asked.code is None), asked
        if asked.code is None:
            assert {told["grant"], *told["also"]} == asked.grants
        else:
            assert told["logged"]["failure"] == asked.code and f"access.{told['reason']}" == asked.code
            assert not asked.grants


def test_who_may_see_telephone_numbers_now_and_then(story: Story) -> None:
    for day, wanted in story.record.phones.items():
        then = story.first + timedelta(days=day)
        told = ask(story, "access", "who", "--field", "phone", "--at", f"{then}T23:59")
        found = {
            (each["agency"], each["how"], each["contract"], each["operation"], each["field"], grant)
            for each in told["receivers"]
            for grant in each["grants"]
        }
        assert found == wanted, then
