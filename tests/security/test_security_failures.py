"""Every failure of this room speaks both languages, and every code that is raised is registered."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import security
from contracts.base.errors import KINDS, Kind
from security import failures

ALL: Any = failures
ACCESS: list[Kind] = ALL.ACCESS
OURS: list[Kind] = ALL.SIGNATURE + ALL.TOKEN + ALL.ENCRYPTION + ACCESS + ALL.APPROVAL + ALL.STORE
VIETNAMESE = re.compile("[ăâđêôơưáàảãạấầẩẫậắằẳẵặéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ]", re.IGNORECASE)


@pytest.mark.parametrize("kind", OURS, ids=lambda k: k.code)
def test_words(kind: Kind) -> None:
    assert KINDS[kind.code] is kind
    for words in (kind.title, kind.what, kind.next):
        assert VIETNAMESE.search(words.vi) and not VIETNAMESE.search(words.en)
        assert set(re.findall(r"\{(\w+)\}", words.vi)) == set(re.findall(r"\{(\w+)\}", words.en)), (
            "the same facts in both"
        )
    for words in (kind.what, kind.next):
        assert words.vi.endswith(".") and words.en.endswith(".")
    assert 400 <= kind.status < 600


def raised() -> Iterator[tuple[str, set[str | None]]]:
    """(code, names of the facts given) of every failure made in this room."""
    for path in Path(security.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Theirs", "Policy", "Ours")
            ):
                first = node.args[0]
                codes = [str(first.value)] if isinstance(first, ast.Constant) else [k.code for k in ACCESS]
                for code in codes:
                    yield (
                        code,
                        {keyword.arg for keyword in node.keywords},
                    )  # None among them: more, told by the tests of grants


def test_each_code_is_raised_somewhere_and_each_raised_one_is_known() -> None:
    codes = {code for code, _ in raised()}
    told_by_the_door = {
        "token.missing",
        "body.not-encrypted",
        "body.encryption-unexpected",
        "encryption.no-key",
        "signature.key-revoked",
    }
    assert {k.code for k in OURS} - codes == told_by_the_door
    assert codes <= {k.code for k in OURS}


@pytest.mark.parametrize(("code", "given"), list(raised()))
def test_facts_are_given_wherever_they_are_told(code: str, given: set[str | None]) -> None:
    """Each raise names the facts that its words tell, so that no text has a gap."""
    kind = KINDS[code]
    told = {name for words in (kind.what, kind.next) for name in re.findall(r"\{(\w+)\}", words.vi)}
    assert told <= given or None in given
