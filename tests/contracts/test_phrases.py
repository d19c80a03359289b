"""What findings and reasons say is Vietnamese where Vietnamese is read: every phrase of the code, every rule and loss
of a page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from contracts.base.errors import Theirs
from contracts.base.phrases import FOLDERS, vietnamese
from contracts.base.words import read
from contracts.canonical.model import Scalar
from contracts.canonical.validate import describe
from contracts.compiled.contract import compile_bundle
from contracts.faces.pages.page import page
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.mapping import grid
from contracts.wire.jsontext import read_json
from gateway import errors
from gateway.doctor.findings import finding
from gateway.doors.http.errors import HTTP_MALFORMED
from gateway.machines.own import _removed

errors.every()  # so that the phrases of every package are known
ROOT: Final = Path(__file__).resolve().parents[2]
# Where a call says what was found and what would have been right: its arguments of these numbers.
SAYS: Final[dict[str, dict[str, tuple[int, ...]]]] = {
    "contracts": {
        "Finding": (2, 4),
        "NotExpressible": (2, 4),
        "_bad": (1, 2, 3),
        "bad": (1, 2),
        "add": (2, 4),
        "Bad": (1,),
        "Unreadable": (0, 1),
        "_one": (2, 4),
    },
    "contracts/wire/jsontext.py": {"_Refused": (0,)},
    "security": {"_hint": (0, 1)},
    "gateway/backup": {"broken": (1,)},
    "gateway/registry": {"Finding": (2, 4), "_wrong": (2, 3)},
    "gateway/doors/api": {"Finding": (2, 4)},
    "gateway/doors/http/framing.py": {"_refused": (0,)},
    "gateway/feeds": {"Finding": (2,)},
    "gateway/client/audit": {"Finding": (2, 4)},
    "gateway/client": {"not_proven": (3,), "_not_proven": (2,)},
}
# Names of the formats, of standards and of our own words: the same in both languages.
NAMES: Final = {
    "YAML",
    "JSON",
    "UTF-8",
    "RFC 4180",
    "base64",
    "layout",
    "table",
    "absent",
    "when",
    "unit",
    "code",
}
_ENGLISH: Final = set(
    "text number column line titles dropped lost becomes characters cell whole with without or and the".split()
)


def _phrases() -> Iterator[str]:
    """The texts of these calls, a number in each place that is filled in."""
    for place, says in SAYS.items():
        for path in [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(call, ast.Call):
                    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                    for number in says.get(name, ()):
                        yield from _texts(call.args[number]) if number < len(call.args) else ()


def _reasons() -> Iterator[str]:
    """What a call says as `why`, and why an address is not called: sentences, no choices or numbers."""
    for text in _whys():
        if re.search("[a-z] [a-z]", text):
            yield text


def _whys() -> Iterator[str]:
    for place in ("gateway/sandbox", "gateway/push"):
        for path in sorted((ROOT / place).rglob("*.py")):
            for each in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(each, ast.keyword) and each.arg == "why":
                    yield from _texts(each.value)
                elif isinstance(each, ast.FunctionDef) and each.name.endswith("objection"):
                    for node in ast.walk(each):
                        if isinstance(node, ast.Return) and node.value is not None:
                            yield from _texts(node.value)


def _texts(argument: ast.expr) -> Iterator[str]:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.JoinedStr) and not isinstance(argument.values[0], ast.FormattedValue):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in argument.values)
    elif isinstance(argument, ast.IfExp):
        yield from _texts(argument.body)
        yield from _texts(argument.orelse)


def _turned(text: str) -> bool:
    said = vietnamese(text)
    return said != text and not _ENGLISH & set(said.split())


@pytest.mark.parametrize("phrase", sorted({*_phrases(), *_reasons(), *grid._WRONG_KIND.values()} - NAMES - {""}))
def test_what_a_finding_says_is_told_in_vietnamese(phrase: str) -> None:
    assert " " not in phrase.removeprefix("as: ").removeprefix("unit: ") or vietnamese(phrase) != phrase, phrase


@pytest.mark.parametrize("place", ["gateway/journal/standby.py", "gateway/journal/postgresql.py"])
def test_why_no_standby_confirms_is_told_in_vietnamese(place: str) -> None:
    """Operators read these reasons in errors and in the doctor's findings."""
    said: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / place).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == "lacks":
            said |= {
                text
                for each in ast.walk(node)
                if isinstance(each, ast.Return) and each.value is not None
                for text in _texts(each.value)
            }
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Unconfirmed", "Lacking"):
            said |= {text for each in node.args for text in _texts(each)}
    assert said and all(vietnamese(each) != each for each in said), said


@pytest.mark.parametrize("path", sorted((ROOT / "adapters").glob("*.py")), ids=lambda each: each.stem)
def test_the_reasons_of_adapters_are_told_in_vietnamese(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    said = {
        text
        for node in ast.walk(tree)
        for part in ([node.value] if isinstance(node, ast.keyword) and node.arg == "reason" else [])
        for text in _texts(part)
    }
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef) and each.name in ("_reason", "_verify"):
            returned = [node.value for node in ast.walk(each) if isinstance(node, ast.Return)]
            said |= {text for value in returned if value for text in _texts(getattr(value, "elts", [value])[-1])}
        if isinstance(each, ast.AnnAssign) and getattr(each.target, "id", "") == "_CERTIFICATE":
            said |= {text for value in ast.walk(each) if isinstance(value, ast.Constant) for text in _texts(value)}
    assert [each for each in sorted(said) if each and each != "wsa:RelatesTo" and not _turned(each)] == []


def test_why_a_text_is_no_json_is_told_in_vietnamese() -> None:
    """Python's reader says it in English."""
    for text in (
        "x",
        "{x",
        '{"a" 1}',
        "[1 2]",
        '{"a": 1,}',
        "[1,]",
        '"x',
        '"\n"',
        '"\\x"',
        '"\\u1"',
        "1 2",
        '{"a":1,"a":1}',
        "NaN",
    ):
        with pytest.raises(Theirs) as wrong:
            read_json(text.encode())
        assert _turned(str(wrong.value.facts["why"])), wrong.value.facts


def test_which_mistake_fits_a_signature_is_told_in_vietnamese() -> None:
    said: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / "security/signature_hints.py").read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name in ("_other_bases", "_targets", "_canonical"):
            for each in ast.walk(node):
                if isinstance(each, ast.Tuple) and each.elts:
                    said |= {text for text in _texts(each.elts[0]) if " " in text}
    assert len(said) > 12 and [each for each in sorted(said - {"C14N 2.0"}) if not _turned(each)] == [], said


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_both_bounds_of_a_number_are_told_in_vietnamese(kind: Literal["integer", "number"]) -> None:
    told = vietnamese(describe(Scalar(kind=kind, minimum=Decimal(-90), maximum=Decimal(90))))
    assert told.endswith("≥ -90 và ≤ 90") and told.startswith("số"), told


def test_what_a_changed_backup_lacks_is_told_in_vietnamese() -> None:
    assert vietnamese("settings.yaml is not what the manifest states (1 bytes of 0)").startswith(
        "settings.yaml không như"
    )


@pytest.mark.parametrize(
    ("actor", "told"),
    [
        (
            "H14.0/nguoi-van-hanh: nobody named, root, command line",
            "H14.0/nguoi-van-hanh: không nêu ai, root, dòng lệnh",
        ),
        ("H14.0/lan: lan as lgsp, command line", "H14.0/lan: lan với tài khoản lgsp, dòng lệnh"),
        ("lan, command line", "lan, dòng lệnh"),
        ("by the policy sandbox-self-service", "theo chính sách sandbox-self-service"),
        ("[Errno 2] No such file or directory", "[Errno 2] No such file or directory"),
        ("No such file or directory", "không có tệp hoặc thư mục này"),
    ],
)
def test_who_acted_is_told_in_vietnamese(actor: str, told: str) -> None:
    assert vietnamese(actor) == told


def test_phrases_fill_the_same_places_in_both_languages() -> None:
    files = [path for folder in FOLDERS if (path := folder / "phrases.yaml").exists()]
    assert len(files) > 5
    for path in files:
        content: list[dict[str, Any]] = read(path)["phrases"]
        assert len({each["en"] for each in content}) == len(content), path
        for each in content:
            assert list(each) == ["en", "vi"] and each["vi"] and "trục" not in each["vi"].lower()
            assert set(_places(each["vi"])) <= set(_places(each["en"])), each


def _places(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:] if part.partition("}")[0].isalnum()]


@pytest.mark.parametrize("folder", catalogue_folders(), ids=lambda each: each.parent.name)
def test_rules_and_losses_of_the_catalogue_are_told_in_vietnamese(folder: Path) -> None:
    compiled = compile_bundle(Bundle.from_folder(folder))
    losses = {loss for codec in compiled.formats.values() for message in codec.mapped for loss in codec.losses(message)}
    assert [loss for loss in sorted(losses) if not _turned(loss)] == []
    rules = {describe(leaf) for struct in compiled.messages.values() for leaf in _scalars(struct)}
    assert [rule for rule in sorted(rules) if vietnamese(rule) == rule] == []
    told = page(compiled, "vi", "https://lgsp.test")
    assert "a code of the table" not in told and "the zone becomes" not in told and ": dropped" not in told


def _scalars(struct: object) -> Iterator[Scalar]:
    for field in getattr(struct, "fields", ()):
        if isinstance(field.type, Scalar):
            yield field.type


def test_what_a_contract_says_itself_is_never_turned() -> None:
    assert (
        vietnamese("a code of the table tan-suat: nothing, text, number")
        == "mã trong bảng tan-suat: nothing, text, number"
    )
    assert vietnamese("text of 1 to 9 characters matching ^text$") == "văn bản 1 đến 9 ký tự theo mẫu ^text$"
    assert vietnamese('a number ≥ 0, or {"absent": reason}') == "số ≥ 0, hoặc lý do vắng mặt"
    assert vietnamese("something new") == "something new"


def test_a_reason_is_told_in_the_language_of_its_sentence() -> None:
    failure = HTTP_MALFORMED(why="not exactly one Host")
    assert failure.what("en") == "The request is not as RFC 9112 has it: not exactly one Host."
    assert failure.what("vi") == "Yêu cầu không đúng RFC 9112: phải có đúng một Host."


@pytest.mark.parametrize(
    "text", ["text, " * 1500, "a: " * 3000, "{" * 9000, "a time that " + " can show in the zone" * 400]
)
def test_a_text_of_a_stranger_ends_soon(text: str) -> None:
    assert len(vietnamese(text)) > 1000


def test_what_a_person_wrote_stays_as_it_is() -> None:
    reason = "the machine is scrapped"  # it looks like a phrase of ours
    assert reason in _removed("may-2", reason).what("vi")
    assert reason in finding("standby.alone", at="–", by="an", said=reason).words("vi")["what"]
