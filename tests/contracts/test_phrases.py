"""What a clerk reads in a report is Vietnamese: every phrase that reading a file can use, and every rule and loss that a contract's page shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.canonical.model import Scalar
from contracts.canonical.validate import describe
from contracts.compiled.contract import compile_bundle
from contracts.faces.pages.page import page
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.mapping import grid
from contracts.phrases import vietnamese

_MAPPING = Path(grid.__file__).parent
_SPEAKING = (
    *(_MAPPING.parent / "codecs" / "cells").glob("*.py"),
    *(_MAPPING / f"{name}.py" for name in ("cells", "grid", "times")),
)
_ENGLISH = {
    "text",
    "number",
    "column",
    "line",
    "titles",
    "dropped",
    "lost",
    "becomes",
    "characters",
    "cell",
    "whole",
    "with",
    "without",
    "or",
    "and",
    "the",
}


def _phrases() -> Iterator[str]:
    """What `Bad`, `Unreadable` and refused cells say, with something in the places that are filled in."""
    for path in _SPEAKING:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            said = {"Bad": slice(1, 2), "Unreadable": slice(0, 2), "Typed": slice(1, 2)}.get(call.func.id)
            if said is None or call.func.id == "Typed" and ast.literal_eval(call.args[0]) != "refused":
                continue
            for argument in call.args[said]:
                yield from _texts(argument)


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


@pytest.mark.parametrize("phrase", sorted({*_phrases(), *grid._WRONG_KIND.values()}))
def test_what_reading_a_file_says_is_told_in_vietnamese(phrase: str) -> None:
    assert _turned(phrase), vietnamese(phrase)


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
