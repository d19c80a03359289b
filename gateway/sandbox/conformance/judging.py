"""Judges what a system answered: nothing wrong, or what is wrong, in words.

Answers are read by the gateway's own adapters, so what passes here the gateway takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from adapters.errors import Acted, ProviderFailure, ProviderMissing
from adapters.http import HttpAnswer
from adapters.model import Incoming, Outgoing
from adapters.rest import JSON, RestAdapter
from adapters.soap import SoapAdapter
from contracts.base.errors import Finding
from contracts.base.words import Words, WordsFile
from contracts.canonical.model import Struct
from contracts.wire.jsontext import read_json
from gateway.sandbox.conformance.cases import Case
from gateway.sandbox.conformance.exchange import Prepared, Target
from gateway.sandbox.conformance.quoting import strings, texts_of, wrong_quotes
from gateway.sandbox.conformance.rules import Kind
from security.jose import MEDIA_TYPE
from security.signature_hints import RULE as SIGNATURE_RULE

_words: Final = WordsFile(__file__)
_ENVELOPES: Final = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
# A program's stack trace: of Python, Java, .NET, Node.
_TRACE: Final = re.compile(rb"Traceback \(most recent call|\n[ \t]{1,16}at [\w.$<>]{1,200} ?\(|\.(?:java|py|cs|js):\d")
_QUOTED: Final[Mapping[str, Callable[[], Words]]] = {
    "nfd": lambda: _words("quoted-nfd"),
    "plain": lambda: _words("quoted-plain"),
    "cut": lambda: _words("quoted-cut"),
    "other": lambda: _words("quoted-other"),
}
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
_NOT: Final = {  # the words for a failure where an answer was expected, by its code
    "provider.answer-too-large": "not-answer-too-large",
    "provider.bad-answer": "not-bad-answer",
    "provider.bad-signature": "not-bad-signature",
    "provider.down": "not-down",
    "provider.dropped": "not-dropped",
    "provider.fault": "not-fault",
    "provider.not-found": "not-not-found",
    "provider.refused": "not-refused",
    "provider.timeout": "not-timeout",
}
Trouble = ProviderFailure | ProviderMissing


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the answers to one prepared request."""

    adapter: RestAdapter | SoapAdapter
    target: Target
    kind: Kind
    outgoing: Outgoing

    def read(self, prepared: Prepared, answer: HttpAnswer) -> Incoming:
        """The verified answer. Raises ProviderFailure or ProviderMissing."""
        endpoint = self.target.of(self.kind)
        if isinstance(self.adapter, SoapAdapter):
            return self.adapter.read(endpoint, self.outgoing, answer, b"", prepared.message_id)
        media = MEDIA_TYPE if self.outgoing.encrypted else JSON
        return self.adapter.read(endpoint, self.outgoing, answer, prepared.request.headers, media)


def not_answered(trouble: Trouble) -> Words:
    """What is wrong where a valid answer was expected."""
    facts: Mapping[str, Any] = trouble.facts
    found = "; ".join(map(_found, list(trouble.findings)[:5]))
    status = facts.get("provider_status", 404 if isinstance(trouble, ProviderMissing) else "–")
    reason = str(facts.get("reason", "")) or "–"
    name = _NOT.get(trouble.code, "not-answered")
    return _words(name, code=trouble.code, reason=f"{reason} ({found})" if found else reason, status=status)


def _found(finding: Finding) -> str:
    """Of a signature what was signed instead; of a message its place and rule alone."""
    place = finding.here or finding.canonical or "/"
    if finding.rule == SIGNATURE_RULE:
        return f"{place}: {finding.got}; expected {finding.expected}"
    return f"{place}: {finding.rule}"


def not_refused(trouble: Trouble | None, answer: HttpAnswer) -> Words | None:
    """What is wrong with the answer to a message that was proven and has to be refused; None if nothing is."""
    if _TRACE.search(answer.body) is not None:
        return _words("stack-trace", status=answer.status)
    if trouble is not None and answer.status == 200 and _is_fault(answer):
        return _words("fault-with-200")
    if trouble is None or 200 <= answer.status < 300:
        return _words("accepted", status=answer.status)
    if isinstance(trouble, ProviderMissing):
        return None
    if trouble.code == "provider.refused":
        return None if trouble.acted is Acted.NO else _words("refused-unsigned", status=answer.status)
    if trouble.code == "provider.fault":
        return _words("crashed", status=trouble.facts.get("provider_status", answer.status))
    return _words("refused-badly", status=answer.status, code=trouble.code, reason=trouble.facts.get("reason", "–"))


def not_handled(trouble: Trouble | None, answer: HttpAnswer) -> Words | None:
    """As `not_refused`; but a broken message may be taken, if the answer is valid."""
    if trouble is None:
        return None
    if 200 <= answer.status < 300 and not _is_fault(answer) and _TRACE.search(answer.body) is None:
        refusal = "problem" in answer.headers.get("content-type", "")
        return _words("refusal-with-200", status=answer.status) if refusal else not_answered(trouble)
    return not_refused(trouble, answer)


def badly_quoted(case: Case, answer: HttpAnswer, incoming: Incoming, struct: Struct) -> Words | None:
    """What became of the texts that the answer quotes. `struct` is the answer's type."""
    raw = strings(b"" if incoming.opened_in else answer.body)
    wrong = wrong_quotes(case.quoted, raw, texts_of(struct, incoming.answer))
    return None if wrong is None else _QUOTED[wrong]()


def not_stated(case: Case, answer: Any) -> Words | None:
    """Where the canonical answer differs from the stated one."""
    fields = list(_differing(read_json(case.stated), answer))[:5]
    return _words("not-stated", fields=", ".join(fields)) if fields else None


def _differing(stated: Any, answer: Any, path: str = "") -> Iterator[str]:
    if isinstance(stated, dict) and isinstance(answer, dict) and "absent" not in (*stated, *answer):
        for name in {**stated, **answer}:
            yield from _differing(stated.get(name), answer.get(name), f"{path}.{name}" if path else name)
    elif stated != answer:
        yield path or "/"


def not_held_off(answer: HttpAnswer, kind: Kind) -> Words | None:
    """What is wrong with the answer to a request that proves nothing; None if it was refused."""
    if 400 <= answer.status < 500:
        return None
    if kind == "soap" and _is_fault(answer):
        return None
    if 200 <= answer.status < 300:
        return _words("accepted", status=answer.status)
    return _words("crashed", status=answer.status)


def other_answer() -> Words:
    return _words("other-answer")


def taken_twice() -> Words:
    return _words("taken-twice")


def without_certificate(status: int) -> Words:
    return _words("without-certificate", status=status)


def first_failed(wrong: Words) -> Words:
    return _words("first-failed", wrong=wrong)


def no_answer(trouble: Trouble) -> Words:
    """A call that got no answer at all."""
    return _words(
        _NOT.get(trouble.code, "not-answered"),
        code=trouble.code,
        reason=trouble.facts.get("reason", "–"),
        seconds=trouble.facts.get("seconds", "–"),
        status="–",
    )


def too_slow(seconds: float) -> Words:
    return _words("not-timeout", seconds=f"{seconds:g}", reason="–")


def _is_fault(answer: HttpAnswer) -> bool:
    try:
        root = etree.fromstring(answer.body, _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        return False
    return any(root.find(f"{{{space}}}Body/{{{space}}}Fault") is not None for space in _ENVELOPES)
