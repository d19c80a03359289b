"""`audit journey`, `queue show` and `access explain`: every step and reason in full, in one language or in both."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import insert

from gateway import errors
from gateway.audit.search.facts import facts_of
from gateway.audit.search.fields import KINDS
from gateway.audit.search.journey import Step
from gateway.audit.search.steps import failure, sentence
from gateway.cli.audit.steps import sentences
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.settings import Settings
from security.transparency import entry as form
from tests import commandline
from tests.journal.databases import transfer_row

VIETNAMESE = re.compile("[àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵ]", re.IGNORECASE)
ONE, REFUSED = "01935b6e-0000-7000-8000-000000000201", "01935b6e-0000-7000-8000-000000000202"
FINDING: dict[str, str] = {
    "here": "info[0].urgency",
    "got": "text of 3 characters",
    "rule": "code",
    "expected": "one of Past",
}
CALLER = form.Caller("H14.5", "phan-anh")
DIGEST = form.Digest(bytes(32), 9)
CODE = "provider.bad-answer"
AT = 1_795_500_000.0


def story() -> list[form.Entry]:
    alert = ("incident-alert/v1", "submitAlert")
    failed: dict[str, form.Json] = {
        "failure": "provider.bad-answer",
        "provider": "do-thi",
        "reason": "not signed",
        "findings": [FINDING],
        "more": 3,
    }
    return [
        form.Intent(ONE, AT, "rest", CALLER, *alert, "sha256:0", "m" * 64, "G-1", "do-thi", DIGEST),
        form.Note(ONE, AT + 1, "queued", "gateway", failed),
        form.Note(ONE, AT + 2, "try-failed", "gateway", failed | {"try": 2}),
        form.InDoubt(ONE, AT + 3, "keeper-1", "provider.timeout"),
        form.Outcome(ONE, AT + 4, 502, "do-thi", "provider.bad-answer"),
        form.Repeat("01935b6e-0000-7000-8000-000000000203", AT + 5, "rest", CALLER, ONE, 502),
        form.Refusal(
            REFUSED, AT + 6, "rest", "message.invalid", 422, CALLER, None, *alert, None, findings=(FINDING,), more=2
        ),
    ]


@pytest.fixture(scope="module")
def sandbox(sandbox: Settings) -> Settings:
    frozen = [form.freeze(each) for each in story()]
    engine = open_engine(sandbox.database_url)
    with writing(engine) as connection:
        append(connection, [LogRow(*each) for each in frozen])
        row = transfer_row("door-1", id=ONE, message="PA-1", state="dead")._asdict() | {
            "failure": "provider.bad-answer", "receipt": '{"intent": "AA=="}'
        }  # fmt: skip
        connection.execute(insert(tables.transfer).values(row))
        queue = {"body_ref": "b", "state": "dead", "tries": 2, "next_at": AT, "last_failure": "provider.bad-answer"}
        connection.execute(insert(tables.queue).values(transfer=ONE, provider="do-thi", **queue))
    return sandbox


def lgsp(monkeypatch: pytest.MonkeyPatch, sandbox: Settings, language: str | None, *words: str) -> str:
    monkeypatch.delenv("LGSP_LANG", raising=False)
    if language is not None:
        monkeypatch.setenv("LGSP_LANG", language)
    code, out, err = commandline.lgsp(*words, "--data", str(sandbox.data))
    assert code in (0, 1) and not err, err
    return out


EXPLAIN = ("access", "explain", "H14.21", "indicator/v1", "getValue")
JOURNEY = ("audit", "journey", ONE)
COMMANDS = [EXPLAIN, ("access", "explain", "H14.7", "indicator/v1", "getValue"), JOURNEY]
COMMANDS += [("audit", "journey", REFUSED), ("queue", "show", ONE)]
# English words that no Vietnamese sentence has, beside codes, names and paths.
_TIME = re.compile(r"T\d\d:\d\d(:\d\d)?")
ENGLISH = re.compile(r"\b(the|was|were|of|with|why|is|for|may|until|next|last|state|wrong|expected)\b", re.IGNORECASE)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_one_language_alone_or_both(
    monkeypatch: pytest.MonkeyPatch, sandbox: Settings, command: tuple[str, ...]
) -> None:
    vietnamese = lgsp(monkeypatch, sandbox, "vi", *command)
    english = lgsp(monkeypatch, sandbox, "en", *command)
    both = lgsp(monkeypatch, sandbox, None, *command)
    for text in vietnamese.splitlines():
        assert not ENGLISH.search(re.sub(r"\[\S+\]|[\w.-]+/[\w./-]+", "", text)), text
    assert VIETNAMESE.search(vietnamese) and ENGLISH.search(english) and vietnamese != english
    # without the time of day: a minute may end between two commands
    kept, told = ({_TIME.sub("", line).strip() for line in each.splitlines()} for each in (both, vietnamese + english))
    assert told <= kept


def test_each_step_says_what_why_and_what_was_wrong(monkeypatch: pytest.MonkeyPatch, sandbox: Settings) -> None:
    told = lgsp(monkeypatch, sandbox, "vi", *JOURNEY)
    for part in (
        "theo quyền G-1", "Lần gửi đầu tới do-thi không thành", "Lần gửi thứ 2", "Chưa rõ bên cung cấp",
        "[provider.bad-answer]",
        "Sai ở info[0].urgency", "văn bản 3 ký tự", "Còn 3 lỗi khác", "gửi lại", "Trạng thái: đã thôi gửi",
    ):  # fmt: skip
        assert part in told, part
    refused = lgsp(monkeypatch, sandbox, "en", "audit", "journey", REFUSED)
    for part in ("refused with status 422", "[message.invalid]", "Wrong at info[0].urgency", "2 more findings"):
        assert part in refused, part
    shown = json.loads(lgsp(monkeypatch, sandbox, "en", "audit", "show", REFUSED, "--json"))
    assert shown["entries"][0]["findings"] == [FINDING] and shown["entries"][0]["more"] == 2


def test_the_queue_names_the_last_findings(monkeypatch: pytest.MonkeyPatch, sandbox: Settings) -> None:
    told = json.loads(lgsp(monkeypatch, sandbox, "en", "queue", "show", ONE, "--json"))
    assert [(each["try"], each["failure"]) for each in told["failed"]] == [(1, CODE), (2, CODE)]
    assert told["failed"][1]["findings"] == [FINDING]
    listed = lgsp(monkeypatch, sandbox, "en", "queue", "list")
    assert "Wrong at info[0].urgency" in listed


@pytest.mark.parametrize("kind", sorted(KINDS - {"intent", "outcome", "refusal", "repeat", "in-doubt"}))
def test_every_kind_of_note_has_a_sentence_in_both_languages(kind: str) -> None:
    note = form.freeze(form.Note(ONE, AT, kind, "gateway", {"transfer": ONE, "what": "x", "reason": "r", "part": "p"}))
    value = parse(note.entry)
    told = list(sentences(Step(1, facts_of(value, ONE, kind, {}), value)))
    assert len(told) == 2 and VIETNAMESE.search(told[1]) and not any("{" in each[:20] for each in told)


def test_no_failure_of_the_log_is_told_with_an_open_brace() -> None:
    """The log keeps no facts of a failure, so what would be filled in with them is left out."""
    for code in errors.every():
        text = failure(code)
        assert "{" not in f"{text.vi}{text.en}", (code, text)
    assert "…" in failure("route.not-granted").en


@pytest.mark.parametrize(("door", "told"), [("rest", False), ("soap", True)])
def test_the_status_of_a_refusal_is_not_that_of_soap_11(door: str, told: bool) -> None:
    """The log keeps the status of the failure; a fault of SOAP 1.1 has 500 (docs/wire.md)."""
    refusal = form.Refusal(REFUSED, AT, door, "message.invalid", 400, CALLER, None, "a/v1", "b", None)
    value = parse(form.freeze(refusal).entry)
    text = sentence(Step(1, facts_of(value, REFUSED, "refusal", {}), value))
    assert (
        "400" in text.en
        and ("SOAP 1.1 gets 500" in text.en) is told
        and ("SOAP 1.1 nhận mã trả lời 500" in text.vi) is told
    )


def test_a_step_of_a_handling_is_told_in_words_and_civil_times() -> None:
    facts: dict[str, form.Json] = {"agency": "H14.22", "number": 2, "due": 1796011200, "ended": False}
    note = form.freeze(form.Note(ONE, AT, "handling", "H14.22/lan: lan, command line", facts))
    value = parse(note.entry)
    text = sentence(Step(1, facts_of(value, ONE, "handling", {}), value))
    assert "cơ quan xử lý: H14.22" in text.vi and "thời hạn của trạng thái: 2026-11-30T" in text.vi, text.vi
    assert "đã kết thúc: không" in text.vi and "lan, dòng lệnh" in text.vi and "bước số: 2" in text.vi
    assert "due: 2026-11-30T" in text.en and "ended: no" in text.en and "1796011200" not in f"{text.vi}{text.en}"
