"""What of a request's head is proven. The log has a digest of its body, or of its query, and none of its head.

Invariant: a line of the head that neither is signed nor is one that the gateway keeps never passes in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from gateway.audit.verifier.findings import Findings
from gateway.audit.verifier.messages import Http
from gateway.sample_client import httpsig
from gateway.sample_client.fields import Item, read_dictionary

# What the gateway keeps of a request's head (docs/audit-log.md); the first is its own word.
KEPT: Final = frozenset(
    {
        "lgsp-certificate-status",
        *("host", "content-type", "content-digest", "idempotency-key", "signature-input", "signature"),
        *("soapaction", "authorization"),
    }
)
REQUEST_LINE: Final = "the request line"
_LISTED: Final = 20


def kept(findings: Findings, name: str, message: Http) -> None:
    """The log has no digest of a request's head. A line that the gateway never keeps was written by somebody else."""
    if others := sorted(set(message.headers) - KEPT):
        findings.add(f"{name}, head", False, f"lines that the gateway does not keep of a request: {_listed(others)}")


def told(findings: Findings, name: str, message: Http, covered: frozenset[str]) -> None:
    bare = uncovered(message, covered)
    proven = [each for each in (REQUEST_LINE, *message.headers) if each not in bare]
    if proven:
        findings.add(f"{name}, head", True, f"covered by the signature: {_listed(proven)}")
    if bare:
        findings.notes.append(
            f"{name}: neither the log nor a signature covers these lines of its head, so they prove nothing: "
            f"{_listed(bare)}"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def uncovered(message: Http, covered: frozenset[str]) -> list[str]:
    """The lines of a request's head that no signature covers, by name."""
    whole = {str(Item("@method")), str(Item("@target-uri"))} <= covered
    names = [] if whole else [REQUEST_LINE]
    for name, value in message.headers.items():
        if name in ("signature", "signature-input"):  # a member beside ours is another's
            proven = bool(covered) and set(read_dictionary(value)) == {httpsig.LABEL}
        elif name == "host":
            proven = whole and value == urlsplit(message.target).netloc
        else:
            proven = str(Item(name)) in covered
        if not proven:
            names.append(name)
    return names
