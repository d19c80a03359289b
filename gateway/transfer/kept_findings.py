"""Reduces findings to what the log may keep for ever: paths, rules, kinds and the contract's own demands.

Invariant: no word that the sender chose is kept. A path keeps the names that the contract has; other names become "…".
  Of what was found only its kind is kept.
Invariant: number and size are bounded. What was left out is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from adapters.errors import ProviderFailure
from contracts.base.errors import Failure, Finding
from contracts.canonical.places import field_names
from contracts.compiled.contract import CompiledContract
from security.errors import SIGNATURE_MISSING, SIGNATURE_NOT_COVERING

MOST: Final = 10  # findings of one entry
BYTES: Final = 2_000  # of their texts together
_PATH: Final = 200  # characters
_EXPECTED: Final = 160
_PIECES: Final = re.compile(r"\[[0-9]{1,6}\]|\w+|[./@:, -]")
_WORD: Final = re.compile(r"\w+")
_RULE: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,30}")
# The kinds of values that readers name (`contracts.canonical.findings.kind_of` and the codecs). Other texts may hold
# words of the sender, such as the names of a workbook's sheets.
_KINDS: Final = re.compile(
    r"text of [0-9]{1,9} characters|list of [0-9]{1,9}|[0-9]{1,9} (bytes|cells)|empty text|null|nothing|no line"
    r"|boolean|whole number|number|object|base64|another value|two values|a value|text between elements|an element"
    r"|(a|an) (empty|number|boolean|date) cell|a code that is not in force"
    r"|(a field|an element|a column|an attribute) that the (format|contract) does not have"
    r"|a parameter that the operation does not have|a title twice|the element a second time"
    r"|a second branch of a choice|an expression that failed"
    r"|a key of (earlier content|another agency)|a key that is not known here|other content under one key"
    r"|no reference, or another form|reference [0-9]{1,6}: a message (that is not known here|of another agency)"
    r"|reference [0-9]{1,6}: (the earlier message named in another way|a message that was recalled)"
)
# Words of the gateway's own paths: `line 3: …`, `query limit`.
_OWN: Final = frozenset({"line", "query", "body", "path", "header", "file", "document", "after", "limit", "counts"})
# Errors whose place names parts of the wire profile. The place of another one may be a word of the answer.
_OWN_PLACES: Final = frozenset({SIGNATURE_MISSING.code, SIGNATURE_NOT_COVERING.code})
_names: Final[WeakKeyDictionary[CompiledContract, frozenset[str]]] = WeakKeyDictionary()


class Kept(NamedTuple):
    """`more` is the number of findings that were left out."""

    findings: tuple[dict[str, str], ...]
    more: int


def keep_findings(findings: Sequence[Finding], contract: CompiledContract | None) -> Kept:
    """The findings as the log keeps them. `contract` is the one that the message was sent under, if it was known."""
    if not findings:
        return Kept((), 0)
    names = _OWN if contract is None else _names_of(contract)
    kept: list[dict[str, str]] = []
    size = 0
    for each in findings[:MOST]:
        finding = _kept(each, names)
        size += sum(len(text.encode()) for text in finding.values())
        if size > BYTES:
            break
        kept.append(finding)
    return Kept(tuple(kept), len(findings) - len(kept))


def kept_reason(failure: Failure) -> str:
    """Why a provider could not be used, as its adapter says it. Empty for other failures."""
    reason = failure.facts.get("reason")
    if not isinstance(failure, ProviderFailure) or not isinstance(reason, str):
        return ""
    code, _, place = reason.partition(": ")
    return reason if not place or code in _OWN_PLACES else code


def rule_of(finding: Finding) -> str:
    """The word of the rule that a finding tells of."""
    return finding.rule if _RULE.fullmatch(finding.rule) else "invalid"


def _kept(finding: Finding, names: frozenset[str]) -> dict[str, str]:
    texts = {
        "here": _path(finding.here, names),
        "canonical": _path(finding.canonical, names),
        "got": finding.got if _KINDS.fullmatch(finding.got) else "",
        "rule": rule_of(finding),
        # What an expression said of a failure may quote what it was given.
        "expected": "" if finding.rule == "expression" else _short(finding.expected, _EXPECTED),
    }
    return {name: text for name, text in texts.items() if text}


def _path(path: str, names: frozenset[str]) -> str:
    pieces: list[str] = []
    for piece in _PIECES.findall(path[: 2 * _PATH]):
        known = not _WORD.fullmatch(piece) or piece in names
        if known:
            pieces.append(piece)
        elif _after_line(pieces) and len(piece) <= 6 and piece.isascii() and piece.isdecimal():
            pieces.append(piece)
        elif pieces[-2:] == ["…", " "]:  # several words are one name
            pieces.pop()
        elif pieces[-1:] != ["…"]:
            pieces.append("…")
    return _short("".join(pieces), _PATH)


def _after_line(pieces: Sequence[str]) -> bool:
    """Whether the number of a line follows: `line 3: …`."""
    return list(pieces) == ["line", " "]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _names_of(contract: CompiledContract) -> frozenset[str]:
    names = _names.get(contract)
    if names is None:
        words = {word for path in _paths(contract) for word in _WORD.findall(path)}
        names = _names[contract] = frozenset(words) | _OWN
    return names


def _paths(contract: CompiledContract) -> Iterator[str]:
    """Every path and name of the contract's messages, in each format."""
    yield "absent"
    for name, struct in contract.messages.items():
        yield name
        yield from field_names(struct)
    for codec in contract.formats.values():
        for roots in (codec.soap_roots, codec.soap_answer_roots):
            yield from (tag.rpartition("}")[2] for tag in roots)
        for plan in codec.plans.values():
            yield from (*plan.namespaces, plan.root.name.rpartition("}")[2])
            for node in plan.root.nodes():
                yield node.here
            for leaf in plan.root.leaves():
                yield leaf.here
