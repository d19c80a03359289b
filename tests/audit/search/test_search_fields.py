"""A field of the audit search is declared once: index, options, table and page follow from it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from gateway.audit.search.details import detail_words
from gateway.audit.search.facts import Facts, facts_of
from gateway.audit.search.fields import CHANGES, FIELDS, KINDS, kinds_in
from gateway.audit.search.search import Query
from gateway.audit.search.table import COLUMNS
from gateway.cli.tree import app
from gateway.console.roles import Role
from gateway.journal.schema import tables
from gateway.registry.records import Change
from gateway.registry.seals import sealing

ROOT = Path(__file__).resolve().parents[3]


def test_every_field_is_a_column_of_the_index_an_option_a_condition_and_a_column_of_the_table() -> None:
    assert {field.column or name for name, field in FIELDS.items()} | {"trouble"} == {*tables.LOG_INDEXED}
    command: Any = typer.main.get_command(app)
    options = {each.name: each.help for each in command.commands["audit"].commands["search"].params}
    page = (ROOT / "docs" / "audit-log.md").read_text("utf-8")
    for name, field in FIELDS.items():
        assert options[name] == field.help
        assert {name} <= Query.__dataclass_fields__.keys() & Facts.__dataclass_fields__.keys() & {*COLUMNS}
        assert re.search(rf"^`lgsp audit search` finds entries by [^.]*\b{name}\b", page, re.MULTILINE), name
    for field in FIELDS.values():
        if "." in field.known:
            table, _, column = field.known.partition(".")
            assert column in tables.metadata.tables[table].c


def test_what_a_note_is_called_is_known_to_the_search() -> None:
    """A new kind of note is added to `KINDS`, so that a misspelt one is told from it."""
    named: set[str] = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "note" and node.args:
                named |= {str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant)}
    assert len(named) > 15 and named <= KINDS, named - KINDS


def test_both_languages_document_the_same_kinds_of_entries() -> None:
    def kinds(name: str, head: str) -> list[tuple[str, ...]]:
        page = (ROOT / "docs" / name).read_text("utf-8").partition(head)[2].partition("\n\n")[0]
        return [tuple(re.findall(r"`([^`]+)`", row.split("|")[1])) for row in page.splitlines()[2:]]

    english, vietnamese = kinds("audit-log.md", "\n| kind | when |"), kinds("vi/audit-log.md", "\n| loại | khi nào |")
    assert english == vietnamese and len(english) > 10
    assert {code for row in english for code in row} - {"note"} <= KINDS


def test_a_change_is_told_in_both_languages() -> None:
    """Phrases are translated; ids, codes and values stay."""
    changes = [{"what": "grant", "id": "G-1", "how": "approved", "fields": ["an", "ab" * 32]}]
    access = detail_words("access", {"changes": changes, "registry": {"changed": {"agency": {"x": {"level": [1, 2]}}}}})
    assert access.en == "grant G-1: approved by an; level 1 → 2"
    assert access.vi == "quyền G-1: được an duyệt; level 1 → 2"
    suspended = {"changes": [{"what": "system", "id": "do-thi", "how": "suspended", "fields": ["state"]}]}
    told = detail_words("suspended", {**suspended, "reason": {"vi": "Bảo trì", "en": "Maintenance"}})
    assert told.vi.startswith("hệ thống do-thi: tạm dừng; lý do: ") and "system do-thi: suspended" in told.en
    added = detail_words("console-account", {"account": "lan", "how": "added", "roles": [*map(str, Role)]})
    assert "auditor, " in added.en and not {*map(str, Role)} & set(re.findall(r"[a-z]+", added.vi)), added.vi
    published = detail_words("contract", {"how": "rolled back", "version": "1.0", "before": {"version": "1.1"}})
    assert (published.vi, published.en) == (
        "quay về bản trước: phiên bản 1.1 → 1.0",
        "rolled back: version 1.1 → 1.0",
    )
    for what in ("agency", "system", "authority", "grant", "officer", "passkey", "person", "route", "key", "contract"):
        for how in get_args(get_type_hints(Change)["how"]):
            words = detail_words("access", {"changes": [{"what": what, "id": "-", "how": how}]})
            assert words.en == f"{what} -: {how}" and not {what, how} & set(words.vi.split()), (what, how)


def test_every_kind_that_may_have_a_seal_is_a_change() -> None:
    """`--kind change` leaves nothing out that changes the registry. Accounts of the console are changes too."""
    assert {*CHANGES} == {*sealing.PHASES, sealing.PART, "console-account"}
    assert kinds_in("change") == CHANGES and kinds_in("intent,export") == ("intent", "export")


def test_details_of_what_has_no_transfer() -> None:
    def detail(what: str, **facts: Any) -> str | None:
        return facts_of({"kind": "note", "what": what, "actor": "keeper", "facts": facts}, "-", what, {}).detail

    assert detail("altered", schema=["table x: added"], registry=["agency H1: altered"], count=2) == (
        "2 differences, table x: added, agency H1: altered"
    )
    assert detail("quarantine", system="so-lieu", file="chet.csv", size=41, deaths=2) == (
        "chet.csv, 41 bytes, 2 processes died with it in hand"
    )
    rows = [f"agency H{number}: altered" for number in range(5)]
    assert detail("registry-accepted", reason="đã đối chiếu", count=5, differed=rows) == (
        "5 rows, agency H0: altered, agency H1: altered, agency H2: altered, …: đã đối chiếu"
    )
    assert detail("altered") is not None and detail("export", entries=3) is None
    fields = {
        "body.fields": [["*"], ["*", "!phone"]],
        "contact.phone": [{"digest": "0"}, {"digest": "1"}],
    }
    added = {"id": [None, "G-2"], "body.fields": [None, ["*"]]}
    grant = {"what": "grant", "id": "G-1", "how": "changed", "fields": ["fields"]}
    assert detail("access", changes=[grant], registry={"changed": {"access_grant": {"G-1": fields, "G-2": added}}}) == (
        "grant G-1: changed; body.fields ['*'] → ['*', '!phone']; contact.phone (…) → (…)"
    )
    address = {"endpoint.url": [None, "https://a.example"]}
    assert detail("access", registry={"changed": {"system": {"do-thi": address}}}) == (
        "endpoint.url – → https://a.example"
    )
    about = {"contract": "c/v1", "operation": "send"}
    old, new = (about | {"system": each} for each in ("do-thi", "thuc-phan"))
    routes = {
        "1": {name: [value, None] for name, value in old.items()},
        "2": {name: [None, value] for name, value in new.items()},
    }
    taken = {"contract": "c/v1", "form": "csv", "from": 1, "to": 3, "reason": "for the report"}
    assert detail("export", **taken) == "csv, events 1–3; for the report"
    named = {"agency": {"H1": {"name_vi": ["Sở A", "Sở B"]}}}
    assert detail("registry", registry={"changed": named}) == "Vietnamese name Sở A → Sở B"
    assert detail("registry", registry={"changed": {"route": routes}}) == "c/v1 send to do-thi → thuc-phan"
    shown = {"field": "A.phone", "personal": "basic", "grants": ["G-1"], "agencies": ["H1"]}
    told = {"how": "published", "version": "1.1.0", "before": {"version": "1.0.0"}, "discloses": [shown]}
    assert detail("contract", **told) == "published: version 1.0.0 → 1.1.0; A.phone newly shown by G-1 to H1"
    assert detail("registry", changes=3) is None and detail("access", changes=["x"], registry="y") is None


def test_details_say_who_signed_what_changed_and_why() -> None:
    """What a security officer reads: no moment in seconds, no value left out, and each value beside its row."""

    def detail(what: str, **facts: Any) -> str | None:
        return facts_of({"kind": "note", "what": what, "actor": "x", "facts": facts}, "-", what, {}).detail

    approved = {"what": "person", "id": "lan", "how": "approved"}
    admitted = [approved | {"fields": ["can-bo-2", "ab12"]}, approved | {"fields": ["state"]}]
    person = {"lan": {"state": ["proposed", "active"], "since": ["1.5", "2.5"]}}
    assert detail("access", changes=admitted, registry={"changed": {"person": person}}) == (
        "person lan: approved by can-bo-2; person lan: admitted; state proposed → active"
    )
    quota = {"body.quota": [{"calls": 2, "per": "month"}, {"calls": 1000, "per": "month"}]}
    assert detail("access", registry={"changed": {"access_grant": {"G-1": quota}}}) == (
        'body.quota {"calls": 2, "per": "month"} → {"calls": 1000, "per": "month"}'
    )
    revoked = {"state": ["active", "revoked"], "revoked": [None, "1795774331.888155"]}
    assert detail("registry", registry={"changed": {"system_key": {"a.tls-1": revoked, "a.sign-1": revoked}}}) == (
        "a.tls-1 state active → revoked; a.sign-1 state active → revoked"
    )
    route = {"what": "route", "id": "c/v1 send", "how": "changed", "fields": ["table"]}
    rows = {"7": {"system": ["mot-cua", "do-thi"]}, "8": {"when.area": [["01"], ["02"]]}}
    assert detail("access", changes=[route], registry={"changed": {"route": rows}}) == (
        "route c/v1 send: changed; c/v1 send when.area ['01'] → ['02']; c/v1 send to mot-cua → do-thi"
    )
    agency = {"what": "agency", "id": "H1", "how": "suspended", "fields": ["state"]}
    assert detail("suspended", changes=[agency], reason={"en": "leaked", "vi": "lộ khóa"}, until=None) == (
        "agency H1: suspended; reason: leaked / lộ khóa"
    )
    assert detail("break-glass", command="registry resume", reason="no one is here") == (
        "registry resume: no one is here"
    )
    assert detail("keys", rotated=["gateway.sign-2"], withdrawn=True) == (
        "new: gateway.sign-2; the old ones are withdrawn"
    )
    assert detail("body-view", part="request", reason="công văn 12") == "request: công văn 12"
    settings = [{"name": "witness_policy", "from": "closed", "to": "off"}, {"name": "database"}]
    assert detail("settings", changed=settings) == "witness_policy closed → off; database"
