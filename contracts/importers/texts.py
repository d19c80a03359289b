"""The texts of a draft: contract.yaml and the head of a mapping table, with marks for what only people know."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from contracts.folder.todo_markers import MARK
from contracts.importers.names import Taken, dashed
from contracts.importers.shape import Call, Interface, note_lines, words

_READS: Final = (
    "get",
    "list",
    "find",
    "search",
    "query",
    "read",
    "lookup",
    "check",
    "tra",
    "lay",
    "xem",
    "tim",
    "danh",
    "kiem",
)
_WORD: Final = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z_]*", re.I)


def mark(ask: str) -> str:
    """The marker and hint for what people have to fill in."""
    question = words(f"ask.{ask}")
    return f"{MARK}: {question.vi} / {question.en}"


def pattern_of(call: Call) -> str:
    if call.answer is None:
        return "submit"
    return "query" if dashed(call.name).split("-")[0] in _READS else "dispatch"


def contract_file(contract_id: str, interface: Interface, names: Mapping[str, str], messages: Mapping[str, str]) -> str:
    lines = [
        comment(f"{interface.name}: " + ", ".join(interface.documents)),
        f"id: {contract_id}",
        "version: 1.0.0",
        *_worded("title", "", "title"),
        *_worded("description", "", "description"),
        f"owner_role: centre  # {mark('owner')}",
        "legal_basis:",
        f"  - {quoted(mark('basis'))}",
        "operations:",
    ]
    paths = Taken()
    for call in interface.calls:
        lines += [
            f"  {names[call.name]}:",
            f"    pattern: {pattern_of(call)}  # {mark('pattern')}",
            "    method: POST",
            f"    path: /{paths.name(dashed(call.name), '-')}",
            f"    request: {messages[call.name + ' request']}",
            f"    answer: {messages[call.name + ' answer']}",
            *_worded("title", "    ", "operation", call.title),
        ]
    lines += ["protection: signed", f"retention_months: 24  # {mark('months')}"]
    return "\n".join(lines) + "\n"


def _worded(word: str, indent: str, ask: str, known: str = "") -> list[str]:
    """A title in both languages. The foreign text stands beside it as a comment, because its language is unknown."""
    hint = f"  {comment(known)}" if known else ""
    question = words(f"ask.{ask}")
    return [
        f"{indent}{word}:{hint}",
        f"{indent}  vi: {quoted(f'{MARK}: {question.vi}')}",
        f"{indent}  en: {quoted(f'{MARK}: {question.en}')}",
    ]


def table_file(interface: Interface, names: Mapping[str, str], tables: list[str]) -> str:
    lines = [comment(line) for line in note_lines(interface.notes)]
    lines += [f"format: {interface.media}", *_worded("title", "", "system")]
    lines += [f"{word}: {value if value.isdigit() else quoted(value)}" for word, value in interface.head.items()]
    if interface.namespaces:
        lines += ["namespaces:", *(f"  {prefix}: {quoted(space)}" for prefix, space in interface.namespaces.items())]
    called = [_called(names[call.name], call) for call in interface.calls]
    if any(called):
        lines += ["operations:", *(line for line in called if line)]
    return "\n".join([*lines, "messages:", *tables]) + "\n"


def _called(name: str, call: Call) -> str:
    words = {"method": call.method, "path": call.path, "action": call.action}
    pairs = ", ".join(f"{word}: {quoted(value)}" for word, value in words.items() if value is not None)
    return f"  {name}: {{{pairs}}}" if pairs else ""


def quoted(text: str) -> str:
    """The text as a YAML scalar, also inside brackets: plain if it is a word, else in quotes."""
    return text if _WORD.fullmatch(text) else json.dumps(text, ensure_ascii=not text.isprintable())


def comment(text: str) -> str:
    return "# " + "".join(char for char in text if char.isprintable())
