"""The steps of a transfer in full sentences, in Vietnamese and English, for the command line and the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from contracts.base.phrases import vietnamese
from contracts.base.words import Language, Words, WordsFile
from gateway.audit.search.journey import Step
from security.grants.windows import civil

words: Final = WordsFile(__file__, "steps.yaml")
kinds: Final = WordsFile(__file__, "kinds.yaml")
_handlings: Final = WordsFile(__file__, "handling.yaml")  # names of the facts of their notes
_LONGEST: Final = 300  # characters of a note's facts
_BY_FACTS: Final = frozenset({"callback", "file", "quarantine", "taken-up", "note"})
_MOMENTS: Final = frozenset({"due", "whole_due"})  # facts of a handling that are seconds of the epoch
_HOW: Final = {"feed-read": "state", "console-account": "how"}  # the fact of a note that tells its sentence


def sentences(step: Step) -> Iterator[Words]:
    """What the entry says, why, and what was wrong."""
    yield sentence(step)
    if step.facts.failure is not None:
        yield failure(step.facts.failure)
    yield from findings(kept_in(step))


def sentence(step: Step) -> Words:
    """What the entry says."""
    facts, kind, known = step.facts, step.facts.kind, dict[str, Any](step.entry)
    noted = known.get("facts")
    if isinstance(noted, dict):
        known |= {name: value for name, value in noted.items() if name != "facts"}
    known |= {name: value for name, value in facts.named().items() if value is not None}
    if isinstance(known.get("actor"), str):
        known["actor"] = both(known["actor"])
    name = {
        "intent": "step.intent.to" if facts.provider else "step.intent",
        "outcome": f"step.outcome.{facts.outcome}"
        if facts.outcome != "ok" or "out" in step.entry
        else "step.outcome.unseen"
        if facts.provider
        else "step.outcome.kept",
        "refusal": "step.refusal.sum"
        if facts.times > 1
        else "step.refusal.soap"  # the log has no version of SOAP, and keeps the status of the failure (docs/wire.md)
        if facts.door == "soap"
        else "step.refusal",
    }.get(kind, f"step.{kind}")
    if isinstance(noted, dict) and kind in _HOW and "tampered" not in noted:
        name = f"{name}.{noted.get(_HOW[kind])}"
        known |= {each: _plainly(value) for each, value in noted.items()}
        changed = noted.get("changed")
        known |= {each: _plainly(value) for each, value in changed.items()} if isinstance(changed, dict) else {}
    if name not in set(words):
        name = "step.note"
    if name.removeprefix("step.") in _BY_FACTS:
        told: tuple[Any, Any] = (noted, noted)
        if isinstance(noted, dict) and kind.startswith("handling"):
            told = _handling(noted, "vi"), _handling(noted, "en")
        known["facts"] = Words(*(_short(_plainly(each)) for each in told))
    return words(name, **known | {"kind": kind_words(kind)})


def kind_words(kind: str) -> Words:
    """What a kind of entries is called; the kind itself if it is of a later version."""
    return kinds(kind) if kind in set(kinds) else Words(kind, kind)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _handling(facts: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Facts of a handling's note as people read them: their names, moments, yes and no."""
    known = set(_handlings)
    return {
        _handlings(f"fact.{name}").of(language) if f"fact.{name}" in known else name: _handlings(
            "yes" if each else "no"
        ).of(language)
        if isinstance(each, bool)
        else civil(each)
        if name in _MOMENTS and isinstance(each, int | float)
        else each
        for name, each in facts.items()
    }


def _plainly(value: Any, inside: bool = False) -> str:
    """Facts of a note as a person reads them, without the marks of JSON."""
    if isinstance(value, dict):
        if value.keys() == {"old", "new"}:
            return f"{_plainly(value['old'], True)} → {_plainly(value['new'], True)}"
        text = "; ".join(f"{name}: {_plainly(each, True)}" for name, each in value.items())
        return f"({text})" if inside else text
    if isinstance(value, list):
        if len(value) == 2 and all(isinstance(each, int) for each in value):  # a range of offsets
            return f"{value[0]}–{value[1]}"
        return ", ".join(_plainly(each, True) for each in value) or "–"
    if value is None or isinstance(value, bool):
        return {None: "–", True: "true", False: "false"}[value]
    return str(value)


def failure(code: str) -> Words:
    """The words of a failure. Facts that the log does not keep are shown as "…"."""
    from gateway import errors

    error = errors.every().get(code)
    if error is None:  # of a later version
        return words("failure.unknown", code=code)
    title, then = (Words(each.say("vi", {}), each.say("en", {})) for each in (error.title, error.next))
    return words("failure", code=code, title=title, next=then)


def kept_in(step: Step) -> Mapping[str, Any]:
    """What has the kept findings: a refusal itself, or the facts of a note."""
    facts = step.entry.get("facts")
    return step.entry if step.facts.kind == "refusal" else facts if isinstance(facts, dict) else {}


def findings(kept: Mapping[str, Any]) -> Iterator[Words]:
    """The kept reason and findings of an entry, or of the facts of a note."""
    if (why := reason(kept)) is not None:
        yield why
    for each in kept.get("findings") or ():
        where = each.get("here") or each.get("canonical") or words("finding.nowhere")
        texts = {name: both(each.get(name, "–")) for name in ("expected", "got")}
        yield words("finding", where=where, rule=each.get("rule", "–"), **texts)
    if kept.get("more"):
        yield words("finding.more", more=kept["more"])


def reason(kept: Mapping[str, Any]) -> Words | None:
    """The kept reason of a failed try: a phrase, or the code of what was wrong with the provider's answer."""
    from gateway import errors

    why = kept.get("reason")
    if "failure" not in kept or not isinstance(why, str):
        return None
    known = errors.every().get(why)
    if known is None:
        return words("reason", reason=both(why))
    return words("reason", reason=Words(f"{known.title.say('vi', {})} [{why}]", f"{known.title.say('en', {})} [{why}]"))


def both(phrase: str) -> Words:
    """A phrase of a finding."""
    return Words(vietnamese(phrase), phrase)


def queue_words(row: Mapping[str, Any]) -> Words:
    """Where a message stands in the queue."""
    name, last = f"queue.{row['state']}", row["last_failure"] or "–"
    return words(name, tries=row["tries"], next=civil(row["next_at"]), last=last)
