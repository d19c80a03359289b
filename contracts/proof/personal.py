"""Warns of fields that look personal by their name or title and have no mark (`personal_names.yaml`).

Invariant: the cost is linear in the names and titles of a contract's fields.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from contracts.base.errors import Finding
from contracts.base.words import read
from contracts.canonical.personal import marked_fields
from contracts.compiled.contract import CompiledContract
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Findings, Located, read_json

ADVICE: Final = '"personal": "basic" or "sensitive" beside its type, or "none" where it is not of a person'
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONGEST: Final = 4  # words of an entry
_BEGINNINGS: Final = range(5, 17)  # letters of a name's beginning


def unmarked(compiled: CompiledContract, bundle: Bundle) -> list[Finding]:
    """A warning for each such field, at its line of schema.json; what such an object holds is not named again."""
    document = read_json("schema.json", bundle.files["schema.json"], Findings())
    assert document is not None  # it was compiled
    warnings: dict[str, Finding] = {}
    for message in compiled.exchanged:
        fields = marked_fields(compiled.messages[message])
        silent = {above for each in fields if each.single and each.mark is None for above in _around(each.path)}
        named: set[str] = set()
        for each in fields:
            if each.path not in silent or not named.isdisjoint(_around(each.path)):
                continue
            word = looks_personal(each.field.name) or _titled(each.field.title)
            if word is not None:
                named.add(each.path)
                here = f"schema.json:{_line(document, message, each.path)}"
                warnings.setdefault(
                    here, Finding(here, f"{message}.{each.value_path}", f"{word}, without a mark", "personal", ADVICE)
                )
    return list(warnings.values())


def looks_personal(name: str) -> str | None:
    """The word of the list that a field's name has or begins with."""
    words = _words(name)
    joined = "".join(words)
    begins = (joined[:length] for length in _BEGINNINGS if length <= len(joined))
    return next((_names()[each] for each in (*_runs(words), *begins) if each in _names()), None)


def _titled(title: str) -> str | None:
    return next((_names()[each] for each in _runs(_words(title)) if each in _names()), None)


@cache
def _names() -> dict[str, str]:
    """The list, without the spaces -> with them."""
    return {each.replace(" ", ""): each for each in read(Path(__file__).with_name("personal_names.yaml"))["names"]}


def _words(text: str) -> list[str]:
    """`soDienThoai`, `so_dien_thoai` and `Số điện thoại` are the same words."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return [each.lower() for each in _WORD.findall("".join(sign for sign in plain if not unicodedata.combining(sign)))]


def _runs(words: list[str]) -> Iterator[str]:
    """Up to four words in a row, joined; one in the plural also in the singular."""
    for start in range(len(words)):
        for end in range(start + 1, min(start + _LONGEST, len(words)) + 1):
            joined = "".join(words[start:end])
            yield joined
            yield joined.removesuffix("es")
            yield joined.removesuffix("s")


def _line(document: Located, message: str, path: str) -> int:
    """The line of a field in schema.json, through references, items and branches."""
    defs = document.value["$defs"]

    def inside(node: Any, at: tuple[str | int, ...]) -> tuple[Any, tuple[str | int, ...]]:
        while "$ref" in node or "items" in node:
            name = str(node.get("$ref", "")).removeprefix("#/$defs/")
            node, at = (defs[name], ("$defs", name)) if name else (node["items"], (*at, "items"))
        return node, at

    node, at = inside({"$ref": f"#/$defs/{message}"}, ())
    line = 0
    for step in path.split("."):
        name = step.removesuffix("[]")
        branches = [inside(each, at) for each in node["oneOf"]] if "oneOf" in node else [(node, at)]
        holder, at = next(each for each in branches if name in each[0]["properties"])
        field, at = holder["properties"][name], (*at, "properties", name)
        line = document.line(at)
        node, at = inside(field, at)
    return line


def _around(path: str) -> list[str]:
    return [path, *(path[:at].removesuffix("[]") for at, sign in enumerate(path) if sign == ".")]
