"""The words of pages, notices and changes: both languages, the same facts in each, and each of them used."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from contracts.base.words import read

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("contracts", "security", "adapters", "gateway")
FILES: Final = [
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.yaml")
    if path.name in ("words.yaml", "changes.yaml")
]
_OF_A_LANGUAGE: Final = re.compile("_(vi|en)$")  # facts that come in both


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path: Path) -> None:
    for name, words in read(path).items():
        assert list(words) == ["vi", "en"] and all(isinstance(text, str) and text for text in words.values()), name
        vi, en = ({_OF_A_LANGUAGE.sub("", fact) for fact in re.findall(r"{(\w+)}", text)} for text in words.values())
        assert vi == en, f"{name}: the two languages name different facts"
        assert "trục" not in words["vi"].lower(), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_words_are_used(path: Path) -> None:
    """By their name, or by the part of it before a name that is filled in."""
    used: set[str] = set()
    for module in path.parent.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    unused = {
        name
        for name in read(path)
        if name not in used and not any(name.startswith(part) for part in used if part.endswith("."))
    }
    assert unused == set()
