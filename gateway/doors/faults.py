"""Failures as SOAP 1.1 Faults. The one module that turns a failure into SOAP.

Every body made here is its own exclusive C14N, so that it is signed as it stands.
"""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Branch, Failure
from contracts.wire.soap import LGSP, SOAP
from contracts.wire.xmltext import ILLEGAL, escape_attribute, escape_text
from gateway.doors.problems import LANGUAGES

ACTION: Final = "urn:lgsp:wire:1:fault"


def fault(failure: Failure, transfer: str) -> bytes:
    """`soap:Fault` with one `lgsp:Problem`: code, words in both languages, the transfer, and each finding."""
    side = "Server" if failure.branch is Branch.OURS else "Client"
    words: list[str] = []
    for name, say in (("Title", failure.title), ("Detail", failure.what), ("Next", failure.next)):
        words.extend(f'<lgsp:{name} xml:lang="{each}">{_text(say(each))}</lgsp:{name}>' for each in LANGUAGES)
    findings = "".join(
        "<lgsp:Finding"
        + "".join(
            f' {name}="{escape_attribute(_legal(value))}"'
            for name, value in (  # in the order of C14N: attributes without a namespace, by name
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
    return (
        f'<soap:Fault xmlns:soap="{SOAP}"><faultcode>soap:{side}</faultcode>'
        f'<faultstring xml:lang="vi">{_text(failure.title("vi") + ". " + failure.what("vi"))}</faultstring>'
        f'<detail><lgsp:Problem xmlns:lgsp="{LGSP}"><lgsp:Code>{escape_text(failure.code)}</lgsp:Code>'
        f"{''.join(words)}<lgsp:Transfer>{escape_text(transfer)}</lgsp:Transfer>"
        f"{_retry(failure)}{findings}</lgsp:Problem></detail></soap:Fault>"
    ).encode()


def queued(transfer: str) -> bytes:
    """The Body of an answer that has to wait: the provider will be asked again and again."""
    return (
        f'<lgsp:Queued xmlns:lgsp="{LGSP}"><lgsp:Transfer>{escape_text(transfer)}</lgsp:Transfer>'
        f"<lgsp:Status>/transfers/{escape_text(transfer)}</lgsp:Status></lgsp:Queued>"
    ).encode()


def _retry(failure: Failure) -> str:
    return f"<lgsp:RetryAfter>{failure.retry_after}</lgsp:RetryAfter>" if failure.retry_after is not None else ""


def _text(value: str) -> str:
    return escape_text(_legal(value))


def _legal(value: str) -> str:
    """An address may hold what XML cannot carry (`%00`); a Fault that tells of it must still be read."""
    return ILLEGAL.sub("\ufffd", value)
