"""Messages in a package of evidence (HTTP/1.1 heads and bodies), and their signers: RFC 9421, WS-Security 1.1, JWS.

Invariant: a message counts as signed only if its signature covers all that the profile of `docs/wire.md` requires,
at the time of the transfer.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

from gateway.sample_client import httpsig
from gateway.sample_client.errors import ClientError
from gateway.sample_client.signing import Verifier

if TYPE_CHECKING:
    from gateway.sample_client import wssec

_CREATED = re.compile(rb"<(?:[A-Za-z0-9_-]{1,20}:)?Created>([0-9T:.-]{19,26}Z)</")  # of a Timestamp (WS-Security)
_BEFORE = 65_536  # bytes of an envelope in which it comes
MOST_HEAD: Final = 262_144  # bytes of a request line or status line with all fields
MOST_MARKS: Final = 2_000_000  # tags and attributes of an envelope: each takes far more memory than its bytes
MOST_PARTS: Final = 10_000  # of a package of files
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class NotLooked(Exception):
    """A library that the check needs is not installed; that says nothing about the message."""


class NotSigned(Exception):
    """The message is unsigned; the text says why that can be."""


@dataclass(frozen=True, slots=True)
class Http:
    """A request (method, target) or an answer (status). Header names in lower case."""

    headers: Mapping[str, str]
    body: bytes
    method: str = ""
    target: str = ""
    status: int = 0

    def message(self, request: httpsig.Message | None = None) -> httpsig.Message:
        target = self.target if "://" in self.target else f"https://{self.headers.get('host', '')}{self.target}"
        return httpsig.Message(self.headers, self.method, target if self.method else "", self.status, request)


def read_http(data: bytes) -> Http:
    head, parted, body = data.partition(b"\r\n\r\n")
    if not parted or len(head) > MOST_HEAD:
        raise ValueError(f"no HTTP message with a head of at most {MOST_HEAD} bytes")
    text = head.decode("latin-1")
    first, *lines = text.split("\r\n")
    if any(_CONTROL.search(line) for line in (first, *lines)):
        raise ValueError("control characters in the head")
    values: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or _NAME.fullmatch(name) is None:
            raise ValueError(f"a line of the head that is no field: {line[:80]!r}")
        values.setdefault(name.lower(), []).append(value.strip(" \t"))
    headers = {name: ", ".join(each) for name, each in values.items()}
    if first.startswith("HTTP/"):
        return Http(headers, body, status=int(first.split(" ")[1]))
    method, target, _ = first.split(" ")
    return Http(headers, body, method, target)


class Signed(NamedTuple):
    """The key that signed, and what its signature covers of the head: components of RFC 9421, none by WS-Security."""

    key: Verifier
    covered: frozenset[str]


def time_of(message: Http, opened: bytes | None, first: float, last: float) -> float:
    """When a message says that it was signed, if that is within these times: else the nearer of them.

    What is sent on may have waited in a queue. The signature covers the time, and whoever verifies compares it.
    """
    covered = re.search(r";created=([0-9]{1,12})(?![0-9])", message.headers.get("signature-input", ""))
    if covered is not None:
        return min(max(float(covered[1]), first), last)
    named = _CREATED.search((message.body if opened is None else opened)[:_BEFORE])
    try:
        stated = datetime.fromisoformat(named[1].decode()).timestamp() if named is not None else first
    except ValueError:
        stated = first
    return min(max(stated, first), last)


def signer_of(
    message: Http,
    opened: bytes | None,
    by_id: Mapping[str, Verifier],
    by_thumbprint: Callable[[bytes], Verifier | None],
    moment: float,
    request: Http | None,
) -> Signed:
    """The key that signed, and what of the head. ClientError if the signature is invalid, `NotSigned` if there is
    none."""
    kind = message.headers.get("content-type", "")
    if opened is not None and not (kind.startswith("application/jose") or b"EncryptedData" in message.body):
        raise ClientError("an opened form lies beside it, and it is not encrypted")
    if kind.startswith("multipart/related") and opened is None:
        envelope, files = _unpacked(kind, message.body)
        return Signed(_soap(envelope, files, by_thumbprint, moment), frozenset())
    if "xml" in kind and b"Envelope" in message.body[:2000]:
        return Signed(_soap(opened if opened is not None else message.body, {}, by_thumbprint, moment), frozenset())
    if "signature" not in message.headers:
        raise NotSigned("it bears no signature (a dropped file, or an answer that was refused for that)")

    def find(key_id: str) -> list[Verifier]:
        return [by_id[key_id]] if key_id in by_id else []

    if message.method:
        proof = httpsig.verify_request(message.message(), message.body, find, moment)
    else:
        proof = httpsig.verify_answer(
            message.message(request.message() if request is not None else None), message.body, find, moment
        )
    if opened is not None:
        _inside(opened, proof.key)
    return Signed(proof.key, proof.covered)


def _unpacked(kind: str, body: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The envelope of a package (RFC 2387), and its files by Content-ID."""
    boundary = re.search(r'boundary="?([^";]{1,70})', kind)
    if boundary is None:
        raise ClientError("a package without its boundary")
    before, *parts, after = (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1"), MOST_PARTS)
    if len(parts) >= MOST_PARTS - 1:
        raise ClientError(f"a package of more than {MOST_PARTS - 1} parts")
    if before or not parts or not after.startswith(b"--"):
        raise ClientError("not a whole package")
    envelope, files = b"", dict[str, bytes]()
    for number, part in enumerate(parts):
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb"(?i)\r\ncontent-id:[ \t]*<([^>\r\n]{1,200})>", head)
        if number == 0:
            envelope = content
            continue
        if name is None or name[1].decode("latin-1") in files:
            raise ClientError("a part of the package has no name of its own")
        files[name[1].decode("latin-1")] = content
    return envelope, files


def _put_in(root: wssec.Element, files: dict[str, bytes]) -> None:
    """Puts each file where the envelope names it, as the signature covers it (XOP 1.0)."""
    left = dict(files)
    for include in list(root.iter("{http://www.w3.org/2004/08/xop/include}Include")):
        parent, name = include.getparent(), unquote((include.get("href") or "").removeprefix("cid:"))
        if parent is None or len(parent) != 1 or name not in left:
            raise ClientError("the envelope names a file that is not there, or names it twice")
        parent.remove(include)
        parent.text = base64.b64encode(left.pop(name)).decode("ascii")
    if left:
        raise ClientError("the package has a file that its envelope does not name")


def _soap(
    envelope: bytes, files: dict[str, bytes], by_thumbprint: Callable[[bytes], Verifier | None], moment: float
) -> Verifier:
    try:
        from gateway.sample_client import wssec  # lxml is needed for SOAP alone
    except ImportError:
        raise NotLooked("reading SOAP needs the package lxml: python3 -m pip install lxml") from None
    if envelope.count(b"<") + envelope.count(b"=") > MOST_MARKS:
        raise ClientError(f"an envelope of more than {MOST_MARKS} tags and attributes")
    root = wssec.parse(envelope, large=True)
    _put_in(root, files)
    return wssec.verify(root, by_thumbprint, moment, large=True).key


def _inside(jws: bytes, key: Verifier) -> None:
    """Verify the signature within an encrypted body, by the same key."""
    signed, _, signature = jws.rpartition(b".")
    head = json.loads(_decode(signed.partition(b".")[0]))
    if (
        head.get("kid") != key.key_id
        or head.get("alg") != key.jose_algorithm
        or not key.verify(signed, _decode(signature), "jose")
    ):
        raise ClientError("the signature inside the encrypted body does not hold")


def _decode(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
