"""Every error: one constant, words in both languages that name the same facts, and somebody who raises it and gives
those facts."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.errors import Acted
from contracts.base.words import read
from gateway import errors
from gateway.delivery.errors import PROVIDER_NO_FORMAT

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("contracts", "security", "adapters", "gateway")
VIETNAMESE: Final = re.compile("[ăâđêôơưáàảãạấầẩẫậắằẳẵặéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ]", re.IGNORECASE)
TYPES: Final = errors.every()
FILES: Final = [path for package in PACKAGES for path in (ROOT / package).rglob("errors.yaml")]
WORDS: Final[dict[str, Any]] = {code: words for path in FILES for code, words in read(path).items()}
CONSTANTS: Final = {re.sub("[^A-Z0-9]", "_", code.upper()): error for code, error in TYPES.items()}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """One after the other: the trees of all at once are two million objects."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def module_of(words: Path) -> ast.Module:
    """The module beside a file of words."""
    return ast.parse(words.with_name("errors.py").read_text("utf-8"))


def facts(*texts: str) -> set[str]:
    return {
        name
        for text in texts
        for _literal, name, _spec, _conversion in string.Formatter().parse(text)
        if name is not None
    }


def test_each_code_has_one_constant_and_words_beside_it() -> None:
    assert set(TYPES) == set(WORDS) and len(WORDS) == sum(len(read(path)) for path in FILES)
    for path in FILES:
        module = module_of(path)
        made = [
            node
            for node in module.body
            if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("_errors.")
        ]
        names = [ast.unparse(node.targets[0]) for node in made]
        assert sorted(names) == sorted(name for name, error in CONSTANTS.items() if error.code in read(path)), path
        assert all(
            ast.unparse(node.value).count(f"'{CONSTANTS[name].code}'") == 1
            for name, node in zip(names, made, strict=True)
        ), path


@pytest.mark.parametrize("code", sorted(TYPES))
def test_words(code: str) -> None:
    error = TYPES[code]
    assert re.fullmatch(r"[a-z]+\.[a-z0-9-]+", code) and 400 <= error.status <= 599
    assert list(WORDS[code]) == ["title", "what", "next"] and all(
        list(words) == ["vi", "en"] for words in WORDS[code].values()
    )
    for words in (error.title, error.what, error.next):
        assert words.vi.strip() and words.en.strip() and words.vi != words.en and not VIETNAMESE.search(words.en)
        assert facts(words.vi) == facts(words.en), "the two languages name different facts"
    assert (
        VIETNAMESE.search(error.title.vi) and "trục" not in f"{error.title.vi} {error.what.vi} {error.next.vi}".lower()
    )
    assert all(text.endswith((".", "{why}")) for words in (error.what, error.next) for text in (words.vi, words.en))


def test_each_error_is_raised_and_no_fact_is_missing() -> None:
    """A call names the facts that the words tell. One that hands on `**facts` is tried by the tests of its own
    package."""
    used: set[str] = set()
    for path, module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                used.add(node.id)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONSTANTS:
                error, given = CONSTANTS[node.func.id], {keyword.arg for keyword in node.keywords}
                told = facts(error.what.en, error.next.en)
                assert None in given or told <= given, (
                    f"{path}:{node.lineno}: {error.code} lacks {sorted(told - given)}"
                )
    assert set(CONSTANTS) - used == set()


def test_modules_of_errors_import_no_others() -> None:
    """`lgsp audit search` and the pages made from code import them all."""
    allowed = {"contracts.base.errors", "contracts.base.words", "adapters.errors"}
    for path in FILES:
        imported = {str(node.module) for node in module_of(path).body if isinstance(node, ast.ImportFrom)}
        assert {name for name in imported if name.startswith(PACKAGES)} <= allowed, path


def test_an_error_of_a_class_with_facts_of_its_own_keeps_them() -> None:
    failure = PROVIDER_NO_FORMAT(acted=Acted.NO, system="kinh-te", format="x", contract="indicator/v1")
    assert not failure.may_have_acted and failure.facts["sent"] == "no"
    assert failure.what("en").startswith("The system kinh-te is registered with the format x")
