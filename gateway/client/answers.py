"""What comes back: an answer with its receipt, and the problem in a refusal (RFC 9457, SOAP Fault).

Invariant: reading what came never raises anything but `ValueError`; whoever reads decides what an unreadable answer means.
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

PHASES: Final = ("intent", "outcome", "refusal")
_LANGUAGES: Final[tuple[Language, Language]] = ("vi", "en")
_FINDING: Final = ("here", "canonical", "got", "rule", "expected")
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

Both = Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an answer names of the audit log: the transfer, and the leaf hashes (RFC 6962) of its entries by phase."""

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
    """A proven answer; or, in a `Refused`, one that may be unproven.

    `body` is the content: of REST the body, of SOAP the one element in the Body as a document of its own, decrypted in both. `raw` is what came
    over the wire. `message_id` is what to repeat the message with; None where none was sent.
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
        """The provider does not answer just now; the gateway has taken the message over and goes on trying."""
        return self.status == 202

    @property
    def transfer(self) -> str | None:
        return self.receipt.transfer if self.receipt is not None else self.headers.get("lgsp-transfer")

    def json(self) -> Any:
        """The content as JSON, numbers exact (int and Decimal); ValueError for anything else."""
        return read_json(self.body)

    def xml(self) -> etree._Element:
        """The content as XML, by the hardened parser; ValueError for anything else."""
        try:
            return soap.parse_xml(self.body)
        except Failure as trouble:
            raise ValueError(trouble.code) from None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the gateway said no: a stable code, who can mend it, and its words in both languages."""

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
        """From a problem document; of anything else that came with an error status, what can be said of it."""
        after = _seconds(headers.get("retry-after"))
        try:
            document = read_json(body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("code"), str):
            return _unnamed(status, after)
        messages = document.get("messages")

        def words(name: str) -> Both:
            said = messages if isinstance(messages, dict) else {}
            spoken = {each: said[each].get(name) for each in _LANGUAGES if isinstance(said.get(each), dict)}
            return {each: str(spoken.get(each) or document.get(name) or "") for each in _LANGUAGES}

        findings = document.get("findings")
        found = [each for each in findings if isinstance(each, dict)] if isinstance(findings, list) else []
        transfer = document.get("transfer")
        return cls(
            document["code"],
            _branch(document.get("branch"), status),
            words("title"),
            words("detail"),
            words("next"),
            transfer if isinstance(transfer, str) else headers.get("lgsp-transfer"),
            tuple(Finding(*(str(each.get(name, "")) for name in _FINDING)) for each in found),
            after,
        )

    @classmethod
    def from_fault(cls, status: int, fault: etree._Element) -> Problem:
        problem = next(fault.iter(f"{{{soap.LGSP}}}Problem"), None)
        said = fault.findtext("faultcode") or fault.findtext("{*}Code/{*}Value") or ""
        side = Branch.THEIRS if said.strip().rpartition(":")[2] in ("Client", "Sender") else Branch.OURS
        if problem is None:
            return _unnamed(status, None, side)

        def words(name: str) -> Both:
            said = {
                each.get(_LANG, ""): (each.text or "").strip() for each in problem.iterfind(f"{{{soap.LGSP}}}{name}")
            }
            return {each: said.get(each) or next(iter(said.values()), "") for each in _LANGUAGES}

        def text(name: str) -> str | None:
            return (problem.findtext(f"{{{soap.LGSP}}}{name}") or "").strip() or None

        return cls(
            text("Code") or f"http.{status}",
            _branch(text("Branch"), status, side),
            words("Title"),
            words("Detail"),
            words("Next"),
            text("Transfer"),
            tuple(
                Finding(*(str(each.get(name, "")) for name in _FINDING))
                for each in problem.iterfind(f"{{{soap.LGSP}}}Finding")
            ),
            _seconds(text("RetryAfter")),
        )


def _unnamed(status: int, retry_after: int | None, otherwise: Branch | None = None) -> Problem:
    """A page of a server in between, say."""
    what: Both = {
        "vi": f"Trạng thái HTTP {status}, không kèm tài liệu lỗi của trục.",
        "en": f"HTTP status {status}, without a problem document of the gateway.",
    }
    then: Both = {
        "vi": "Kiểm tra địa chỉ và máy trung gian.",
        "en": "Check the address and whatever stands in between.",
    }
    return Problem(f"http.{status}", _branch(None, status, otherwise), what, what, then, retry_after=retry_after)


def _branch(named: object, status: int, otherwise: Branch | None = None) -> Branch:
    """As it is named; else what the protocol says of whose fault it is."""
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
    """An element as a document of its own, with the declarations that it stands under."""
    return etree.tostring(element, encoding="utf-8", with_tail=False, xml_declaration=False)


def hashes_of(texts: object, where: str) -> list[bytes]:
    if not isinstance(texts, list):
        raise ValueError(f"{where}: […]")
    return [unbase64(each, where) for each in texts]


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
