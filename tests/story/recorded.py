"""The test's own record of a month, kept in plain lists and sets while the month is played. It shares no code with the
product: what it says was written down by whoever did it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from tests.registry.editions import answer_field, edition, swap, written
from tests.story.month import OFFICERS, Month

HERE = timezone(timedelta(hours=7))
TODAY = datetime.now(HERE).date()
DAYS = 30  # the month ends with yesterday
REPORT, INDICATOR, DOSSIER, ALERT = "field-report/v1", "indicator/v1", "dossier-status/v1", "incident-alert/v1"
READINGS, PAPERS, REGISTERS = "observation/v1", "official-document/v1", "reference-query/v1"
SENDS = ("sendDocument", "sendStatus")
PASSED = ("passDocument", "passStatus")  # to a system of another make, by routes of their own
WRITERS = ("H14.3", "H14.4", "H14.5")  # agencies with a document system
ONE, TWO = OFFICERS

# --- what everybody in the province knows -----------------------------------------------------------------------------
AGENCY_OF = {
    "canh-bao": "H14.2", "do-thi": "H14.3", "kinh-te": "H14.4", "phan-anh": "H14.5", "mot-cua": "H14.5",
    "van-ban-xd": "H14.3", "van-ban-tc": "H14.4", "van-ban-khcn": "H14.5", "dan-cu": "H14.6", "doanh-nghiep": "H14.4",
    "mo-phong": "H14.5", "dieu-hanh": "H14.0", "y-te": "H14.7", "thuc-phan": "H14.21", "truong-ha": "H14.22",
    "mot-cua-xa": "H14.22",
}  # fmt: skip
# The fields with a telephone number, by what brings them: the answer, the feed, or the request that a route carries.
PHONES = {
    (INDICATOR, "getValue", "answer", "responsible.phone"),
    (INDICATOR, "feed", "feed", "values[].responsible.phone"),
    (REPORT, "createRequest", "request", "phone"),
}
CALLED = {
    ALERT: ["mo-phong"],
    PAPERS: ["van-ban-khcn", "van-ban-tc", "van-ban-xd"],
    REGISTERS: ["dan-cu", "doanh-nghiep"],
}
OPERATOR = "nguoi-van-hanh"

REPORTING = {21: "H14.2", 22: "H14.3", 23: "H14.5", 24: "H14.6", 26: "H14.22", 27: "role centre"}  # by grant


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
    def signers(self) -> set[str]:
        return {who for who, _ in self.signed} if self.revoked is None else set()

    @property
    def holds(self) -> bool:
        return len(self.signers) == 2 and not self.suspended and self.revoked is None


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
    phone_fields: set[tuple[str, str, str, str]] = field(default_factory=lambda: {*PHONES})
    to: list[str] = field(default_factory=list)  # the systems to which reports go
    phones: dict[int, set[tuple[str, str, str, str, str, str]]] = field(default_factory=dict)  # by day

    def held(self, agency: str) -> dict[str, Grant]:
        holders = {agency, *(f"role {each}" for each in self.roles[agency])}
        return {name: each for name, each in self.grants.items() if each.holder in holders and each.holds}

    def routed(self, agency: str, grant: Grant, operation: str) -> tuple[str, ...]:
        """The agency's systems to which routes of this operation lead."""
        called = {REPORT: self.to, INDICATOR: ["kinh-te"], DOSSIER: ["mot-cua"], **CALLED}
        if operation in PASSED:
            called[PAPERS] = ["mo-phong"]
        to = called[grant.contract] if grant.receives else []
        return tuple(each for each in to if AGENCY_OF[each] == agency)

    def who_sees_phones(self) -> set[tuple[str, str, str, str, str, str]]:
        """Agency, how, contract, operation, field, grant."""
        found = set()
        for agency in self.roles:
            for name, grant in self.held(agency).items():
                for contract, operation, how, path in self.phone_fields:
                    receives = how == "request"
                    if contract != grant.contract or operation not in grant.operations or receives != grant.receives:
                        continue
                    if receives and not self.routed(agency, grant, operation):
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
            "G-0016": founded("role centre", REPORT, "feed", fields="* !@personal"),
            **{f"G-{number:04}": founded(who, "handling-report/v1", "reportStep") for number, who in REPORTING.items()},
            "G-0028": founded("role centre", "handling/v1", "feed"),
            "G-0031": founded("H14.6", "camera-event/v1", "submitEvent"),
            "G-0032": founded("role centre", "camera-event/v1", "feed"),
            "G-0033": founded("H14.2", READINGS, "submitObservation", "submitReadings", "registerDatastream"),
            "G-0034": founded("role centre", READINGS, "feed"),
            **{f"G-{35 + at:04}": founded(who, PAPERS, *SENDS) for at, who in enumerate(WRITERS)},
            **{f"G-{38 + at:04}": founded(who, PAPERS, *SENDS, receives=True) for at, who in enumerate(WRITERS)},
            "G-0040": founded("H14.5", PAPERS, *SENDS, *PASSED, receives=True),
            "G-0041": founded("H14.5", REGISTERS, "queryCitizen", "queryEnterprise"),
            "G-0042": founded("H14.22", REGISTERS, "queryCitizen", fields="* !citizen.ethnicity"),
            "G-0043": founded("H14.6", REGISTERS, "queryCitizen", receives=True),
            "G-0044": founded("H14.4", REGISTERS, "queryEnterprise", receives=True),
            "G-0045": founded("H14.3", "camera-event/v1", "submitEvent"),
            "G-0046": founded("H14.2", ALERT, "dispatchAlert"),
            "G-0047": founded("H14.5", ALERT, "dispatchAlert", receives=True),
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

    def document(self, what: str, change: Callable[[], object], *also: str) -> None:
        """The registry document with a change, which the officers have to sign."""
        change()
        self.month.apply()
        for each in (what, *also):
            self.record.changed.append(Changed(self.month.now, OPERATOR, each, "proposed", {}))
        self.month.now += 60

    def agree(self, subject: str, officer: str, **values: tuple[Any, Any]) -> None:
        """To what a document proposes. With `values`, which it changes, it is in force."""
        self.month.sign(subject, officer)
        kind, _, name = subject.partition("/")
        what = f"{kind} {' '.join(name.rsplit('/', 1)) if kind == 'route' else name}"
        self.record.changed.append(Changed(self.month.now, officer, what, "approved", {}))
        if values:
            self.record.changed.append(Changed(self.month.now, officer, what, "changed", values))
        self.month.now += 60

    def gets_address(self) -> None:
        address = self.month.entry("systems", "do-thi")["endpoint"]["url"]
        self.month.entry("systems", "thuc-phan")["endpoint"] = {"kind": "rest", "url": address}
        route = next(each for each in self.month.document["routes"] if each.get("system") == "do-thi")
        route["system"] = "thuc-phan"

    def publish(self) -> None:
        """A version of the indicators whose values have a telephone number of their own."""
        plain = '"phone": {"type": "string"}'
        marked = swap("schema.json", plain, '"phone": {"type": "string", "personal": "basic"}')
        files = edition("1.20.0", answer_field("phone"), marked).files
        folder = written(files, self.month.folder / "indicator" / "v1")
        shown = ("IndicatorValue.phone", "IndicatorValues.values[].phone")
        accepted = [word for each in shown for word in ("--accept-personal", each)]
        self.month.lgsp("contract", "publish", str(folder), *accepted)
        self.record.phone_fields |= {
            (INDICATOR, "getValue", "answer", "phone"),
            (INDICATOR, "feed", "feed", "values[].phone"),
        }
        self.wrote(OPERATOR, f"contract {INDICATOR}", "published", version=("1.3.0", "1.20.0"))

    # --- what people do -------------------------------------------------------------------------------------------
    def propose(self, name: str, grant: Grant, **dates: date) -> None:
        known = self.record.grants.get(name)
        about: dict[str, Any] = {"id": name, "contract": grant.contract, "operations": sorted(grant.operations)}
        about |= {"fields": grant.fields, "purpose": "Đối chiếu", "legal_basis": "Quyết định 451/QĐ-UBND"}
        of, _, role = grant.holder.partition("role ")
        about |= {"role": role} if role else {"agency": of}
        about |= {"receives": True} if grant.receives else {}
        about |= {"valid_from": date(2026, 1, 1), "valid_until": date(2030, 12, 31)} | dates
        self.month.propose(about)
        values = {"fields": (known.fields, grant.fields)} if known is not None else {}
        self.record.grants[name] = grant
        self.wrote(OPERATOR, f"grant {name}", "added" if known is None else "changed", **values)

    def sign(self, name: str, officer: str) -> None:
        self.month.sign(name, officer)
        self.record.grants[name].signed.append((officer, self.month.now))
        self.wrote(officer, f"grant {name}", "approved")

    def call(self, system: str, contract: str, operation: str, to: str | None, **changed: Any) -> Asked:
        """`to` is the system that answers, None for the gateway itself; or the code with which it is refused."""
        code, to = (to, None) if to is not None and "." in to else (None, to)
        agency, now = AGENCY_OF[system], self.month.now
        told = self.month.call(system, contract, operation, **changed)
        by = {
            name
            for name, each in self.record.held(agency).items()
            if (each.contract, each.receives) == (contract, False) and operation in each.operations
        }
        assert told.code == code, told
        asked = Asked(told.transfer, agency, contract, operation, now, code, frozenset(by))
        self.record.asked.append(asked)
        if to is not None and not told.queued:
            self.passed(asked, AGENCY_OF[to])
        self.month.now += 60
        return asked

    def passed(self, asked: Asked, provider: str) -> None:
        """The provider got the caller's message, and the caller the provider's answer."""
        got = self.record.got
        got.append(Got(self.day, asked.agency, provider, asked.contract, asked.transfer))
        got.append(Got(self.day, provider, asked.agency, asked.contract, asked.transfer))

    def reads(self, receiver: str, owner: str, asked: Asked) -> None:
        """What of a transfer was shown to somebody else than its parties."""
        self.record.got.append(Got(self.day, owner, receiver, asked.contract, asked.transfer))
        self.month.now += 60

    def read(self, system: str, contract: str, owners: set[str], events: int) -> None:
        assert self.month.read(system, contract) == events
        self.record.got += [Got(self.day, owner, AGENCY_OF[system], contract, None) for owner in owners]
        self.month.now += 60
