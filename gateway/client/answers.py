"""Reads answers, receipts, and the problems in refusals (RFC 9457, SOAP Fault).

Invariant: reading an answer raises nothing but `ValueError`; the caller decides what an unreadable answer means.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from contracts.base.errors import Branch, Failure, Finding
from contracts.base.words import Language
from contracts.wire import jsontext, soap
from security.structured_fields import FieldError, Item, parse_dictionary

ACCEPTED: Final = f"{{{soap.LGSP}}}Accepted"  # the Body: an agency without a system handles the message
PHASES: Final = ("intent", "outcome", "refusal")
_LANGUAGES: Final[tuple[Language, Language]] = ("vi", "en")
_FINDING: Final = ("here", "canonical", "got", "rule", "expected")
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

Both = Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The transfer, and the leaf hashes (RFC 6962) of its entries in the audit log by phase."""

    transfer: str
    leaves: Mapping[str, bytes]

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Receipt | None:
        text = headers.get("lgsp-receipt")
        if text is None:
            return None
        try:
            members = parse_dictionary(text)
        except FieldError as wrong:
            raise ValueError(f"Lgsp-Receipt: {wrong}") from None
        leaves = {}
        for phase in PHASES:
            item = members.get(phase)
            if item is not None:
                if not isinstance(item, Item) or not isinstance(item.value, bytes):
                    raise ValueError(f"Lgsp-Receipt: {phase}=:base64:")
                leaves[phase] = item.value
        return cls(headers.get("lgsp-transfer", ""), leaves)

    @classmethod
    def from_element(cls, block: etree._Element) -> Receipt:
        leaves = {}
        for phase in PHASES:
            text = block.findtext(f"{{{soap.LGSP}}}{phase.capitalize()}")
            if text:
                leaves[phase] = unbase64(text, "lgsp:Receipt")
        return cls((block.findtext(f"{{{soap.LGSP}}}Transfer") or "").strip(), leaves)


@dataclass(frozen=True, slots=True)
class Answer:
    """A proven answer; in a `Refused` it may be unproven.

    `body` is the decrypted content: the body of REST, the one element in the Body of SOAP. `raw` is the body as
    received. `message_id` is the id under which to repeat the message; None where none was sent.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: bytes
    proven: bool
    receipt: Receipt | None = None
    checkpoint: str | None = None
    message_id: str | None = None

    @property
    def queued(self) -> bool:
        """The provider does not answer now; the gateway has queued the message and keeps trying."""
        return self.status == 202 and not self.accepted

    @property
    def accepted(self) -> bool:
        """No system gets the message: its agency has none and handles it on its page. `Client.handlings` tells how."""
        if self.status != 202:
            return False
        return self.xml().tag == ACCEPTED if self.body[:1] == b"<" else self.json().get("state") == "accepted"

    @property
    def transfer(self) -> str | None:
        return self.receipt.transfer if self.receipt is not None else self.headers.get("lgsp-transfer")

    def json(self) -> Any:
        """The content as JSON with exact numbers (int and Decimal). Raises ValueError."""
        return read_json(self.body)

    def xml(self) -> etree._Element:
        """The content as XML, read by the hardened parser. Raises ValueError."""
        try:
            return soap.parse_xml(self.body)
        except Failure as trouble:
            raise ValueError(trouble.code) from None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the gateway refused: a stable code, who can fix it, and the texts in both languages."""

    code: str
    branch: Branch
    title: Both
    what: Both
    next: Both
    transfer: str | None = None
    findings: tuple[Finding, ...] = ()
    retry_after: int | None = None

    @classmethod
    def from_rest(cls, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        """From a problem document; any other body gives the code `http.<status>`."""
        after = _seconds(headers.get("retry-after"))
        try:
            document = read_json(body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("code"), str):
            return _unnamed(status, after)
        messages = document.get("messages")

        def words(name: str) -> Both:
            by_language = messages if isinstance(messages, dict) else {}
            texts = {
                each: by_language[each].get(name) for each in _LANGUAGES if isinstance(by_language.get(each), dict)
            }
            return {each: str(texts.get(each) or document.get(name) or "") for each in _LANGUAGES}

        listed = document.get("findings")
        findings = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        transfer = document.get("transfer")
        return cls(
            code=document["code"],
            branch=_branch(document.get("branch"), status),
            title=words("title"),
            what=words("detail"),
            next=words("next"),
            transfer=transfer if isinstance(transfer, str) else headers.get("lgsp-transfer"),
            findings=tuple(Finding(*(str(each.get(name, "")) for name in _FINDING)) for each in findings),
            retry_after=after,
        )

    @classmethod
    def from_fault(cls, status: int, fault: etree._Element) -> Problem:
        problem = next(fault.iter(f"{{{soap.LGSP}}}Problem"), None)
        fault_code = fault.findtext("faultcode") or fault.findtext("{*}Code/{*}Value") or ""
        side = Branch.THEIRS if fault_code.strip().rpartition(":")[2] in ("Client", "Sender") else Branch.OURS
        if problem is None:
            return _unnamed(status, None, side)

        def words(name: str) -> Both:
            texts = {
                each.get(_LANG, ""): (each.text or "").strip() for each in problem.iterfind(f"{{{soap.LGSP}}}{name}")
            }
            return {each: texts.get(each) or next(iter(texts.values()), "") for each in _LANGUAGES}

        def text(name: str) -> str | None:
            return (problem.findtext(f"{{{soap.LGSP}}}{name}") or "").strip() or None

        return cls(
            code=text("Code") or f"http.{status}",
            branch=_branch(text("Branch"), status, side),
            title=words("Title"),
            what=words("Detail"),
            next=words("Next"),
            transfer=text("Transfer"),
            findings=tuple(
                Finding(*(str(each.get(name, "")) for name in _FINDING))
                for each in problem.iterfind(f"{{{soap.LGSP}}}Finding")
            ),
            retry_after=_seconds(text("RetryAfter")),
        )


def _unnamed(status: int, retry_after: int | None, otherwise: Branch | None = None) -> Problem:
    """For an answer without a problem document, such as the page of a proxy."""
    what: Both = {
        "vi": f"Trạng thái HTTP {status}, không kèm tài liệu lỗi của cổng trao đổi dữ liệu.",
        "en": f"HTTP status {status}, without a problem document of the gateway.",
    }
    then: Both = {
        "vi": "Kiểm tra địa chỉ và máy trung gian.",
        "en": "Check the address and whatever stands in between.",
    }
    return Problem(f"http.{status}", _branch(None, status, otherwise), what, what, then, retry_after=retry_after)


def _branch(named: object, status: int, otherwise: Branch | None = None) -> Branch:
    """The named branch; else `otherwise`; else by the HTTP status."""
    try:
        return Branch(named)  # type: ignore[arg-type]
    except ValueError:
        return otherwise or (Branch.OURS if status >= 500 else Branch.POLICY if status in (403, 429) else Branch.THEIRS)


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 6 else None


def read_json(raw: bytes) -> Any:
    try:
        return jsontext.read_json(raw)
    except Failure as trouble:
        raise ValueError(trouble.code) from None


def unbase64(text: object, where: str) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"{where}: base64")
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        raise ValueError(f"{where}: base64") from None


def note_of(header: str | None) -> str | None:
    """The signed note in `Lgsp-Checkpoint`, a structured-field byte sequence."""
    if header is None:
        return None
    text = header.strip()
    if len(text) < 2 or text[0] != ":" or text[-1] != ":":
        raise ValueError("Lgsp-Checkpoint: :base64:")
    return unbase64(text[1:-1], "Lgsp-Checkpoint").decode("utf-8")


def element_bytes(element: etree._Element) -> bytes:
    """An element as a document, with the namespace declarations in scope."""
    return etree.tostring(element, encoding="utf-8", with_tail=False, xml_declaration=False)


def hashes_of(texts: object, where: str) -> list[bytes]:
    if not isinstance(texts, list):
        raise ValueError(f"{where}: […]")
    return [unbase64(each, where) for each in texts]


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
