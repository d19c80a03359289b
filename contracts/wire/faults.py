"""Turns failures into SOAP Faults of the caller's version. The only module that does.

Each body returned here is its own exclusive C14N, so that it is signed as it is.
"""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Branch, Failure
from contracts.errors import SOAP_NOT_UNDERSTOOD, SOAP_VERSION
from contracts.wire.problems import LANGUAGES
from contracts.wire.soap import LGSP, V11, Version
from contracts.wire.xmltext import ILLEGAL, escape_attribute, escape_text

ACTION: Final = "urn:lgsp:wire:1:fault"
_SIDES: Final = {SOAP_NOT_UNDERSTOOD.code: "MustUnderstand", SOAP_VERSION.code: "VersionMismatch"}


def fault(failure: Failure, transfer: str, version: Version = V11) -> bytes:
    """`soap:Fault` with one `lgsp:Problem`: code, words in both languages, the transfer, and each finding."""
    words: list[str] = []
    for name, say in (("Title", failure.title), ("Detail", failure.what), ("Next", failure.next)):
        words.extend(f'<lgsp:{name} xml:lang="{each}">{_text(say(each))}</lgsp:{name}>' for each in LANGUAGES)
    findings = "".join(
        "<lgsp:Finding"
        + "".join(
            f' {name}="{escape_attribute(_legal(value))}"'
            for name, value in (  # the order of C14N: attributes without a namespace, by name
                ("canonical", item.canonical),
                ("expected", item.expected),
                ("got", item.got),
                ("here", item.here),
                ("rule", item.rule),
            )
        )
        + "></lgsp:Finding>"
        for item in failure.findings
    )
    problem = (
        "<lgsp:Problem "
        f'xmlns:lgsp="{LGSP}"><lgsp:Code>{escape_text(failure.code)}</lgsp:Code><lgsp:Branch>{failure.branch.value}</lgsp:Branch>'
        f"{''.join(words)}<lgsp:Transfer>{escape_text(transfer)}</lgsp:Transfer>"
        f"{_retry(failure)}{findings}{_base(failure)}</lgsp:Problem>"
    )
    reasons = {each: _text(f"{failure.title(each)}. {failure.what(each)}") for each in LANGUAGES}
    server = failure.branch is Branch.OURS
    if version is V11:
        side = _SIDES.get(failure.code, "Server" if server else "Client")
        inside = (
            f"<faultcode>soap:{side}</faultcode><faultstring "
            f'xml:lang="vi">{reasons["vi"]}</faultstring><detail>{problem}</detail>'
        )
    else:
        side = _SIDES.get(failure.code, "Receiver" if server else "Sender")
        texts = "".join(f'<soap:Text xml:lang="{each}">{text}</soap:Text>' for each, text in reasons.items())
        inside = (
            f"<soap:Code><soap:Value>soap:{side}</soap:Value></soap:Code><soap:Reason>{texts}</soap:Reason>"
            f"<soap:Detail>{problem}</soap:Detail>"
        )
    return f'<soap:Fault xmlns:soap="{version.namespace}">{inside}</soap:Fault>'.encode()


def status(failure: Failure, version: Version) -> int:
    """SOAP 1.1 over HTTP always requires 500; SOAP 1.2 requires 400 for a fault of the sender (Part 2, table 20)."""
    return 500 if version is V11 or failure.branch is Branch.OURS or failure.code in _SIDES else 400


def taken_in(transfer: str, kept: bool) -> bytes:
    """The Body of the answer for a message that is queued for its provider, or kept for an agency without a system."""
    name = "Accepted" if kept else "Queued"
    return (
        f'<lgsp:{name} xmlns:lgsp="{LGSP}"><lgsp:Transfer>{escape_text(transfer)}</lgsp:Transfer>'
        f"<lgsp:Status>/transfers/{escape_text(transfer)}</lgsp:Status></lgsp:{name}>"
    ).encode()


def _retry(failure: Failure) -> str:
    return f"<lgsp:RetryAfter>{failure.retry_after}</lgsp:RetryAfter>" if failure.retry_after is not None else ""


def _base(failure: Failure) -> str:
    text = failure.signature_base
    return f"<lgsp:SignatureBase>{_text(text)}</lgsp:SignatureBase>" if text else ""


def _text(value: str) -> str:
    return escape_text(_legal(value))


def _legal(value: str) -> str:
    """Replaces characters that XML cannot carry, such as `%00` of an address."""
    return ILLEGAL.sub("\ufffd", value)
