"""The steps of a transfer in full sentences, in the language that `LGSP_LANG` names, else in both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from contracts.base.phrases import vietnamese
from contracts.base.words import Words, WordsFile
from gateway.cli.common.language import spoken

if TYPE_CHECKING:
    from gateway.audit.search.journey import Step

words: Final = WordsFile(__file__)
_INDENT: Final = "           "
_LONGEST: Final = 300  # characters of a note's facts
_BY_FACTS: Final = frozenset({"file", "quarantine", "taken-up", "note"})


def sentences(step: Step) -> Iterator[str]:
    """What the entry says, why, and what was wrong."""
    yield from spoken(_sentence(step), _INDENT)
    if step.facts.failure is not None:
        yield from spoken(failure(step.facts.failure), _INDENT)
    facts = step.entry.get("facts")
    yield from findings(step.entry if step.facts.kind == "refusal" else facts if isinstance(facts, dict) else {})


def _sentence(step: Step) -> Words:
    facts, kind, known = step.facts, step.facts.kind, dict[str, Any](step.entry)
    noted = known.get("facts")
    if isinstance(noted, dict):
        known |= {name: value for name, value in noted.items() if name != "facts"}
    known |= {name: value for name, value in facts.named().items() if value is not None}
    name = {
        "intent": "step.intent.to" if facts.provider else "step.intent",
        "outcome": "step.outcome.unseen"
        if facts.outcome == "ok" and facts.provider and "out" not in step.entry
        else f"step.outcome.{facts.outcome}",
        "refusal": "step.refusal.sum" if facts.times > 1 else "step.refusal",
    }.get(kind, f"step.{kind}")
    if name not in words:
        name = "step.note"
    if name.removeprefix("step.") in _BY_FACTS:
        text = json.dumps(noted, ensure_ascii=False, default=str)
        known["facts"] = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return words(name, **known)


def failure(code: str) -> Words:
    """The words of a failure. Facts that the log does not keep are shown as "…"."""
    from gateway import errors

    error = errors.every().get(code)
    if error is None:  # of a later version
        return words("failure.unknown", code=code)
    return words("failure", code=code, title=error.title, next=error.next)


def findings(kept: Mapping[str, Any]) -> Iterator[str]:
    """The kept findings of an entry, or of the facts of a note."""
    for each in kept.get("findings") or ():
        where = each.get("here") or each.get("canonical") or words("finding.nowhere")
        texts = {name: _both(each.get(name, "–")) for name in ("expected", "got")}
        yield from spoken(words("finding", where=where, rule=each.get("rule", "–"), **texts), _INDENT)
    if kept.get("more"):
        yield from spoken(words("finding.more", more=kept["more"]), _INDENT)


def _both(phrase: str) -> Words:
    return Words(vietnamese(phrase), phrase)
