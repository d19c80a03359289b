"""Reads the Signature-Input and Signature fields (RFC 9421 §4) in the profile of `docs/wire.md`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from security.errors import (
    SIGNATURE_COMPONENT_UNKNOWN,
    SIGNATURE_MALFORMED,
    SIGNATURE_MISSING,
    SIGNATURE_NONCE,
    SIGNATURE_PARAMETER,
    SIGNATURE_SEVERAL,
)
from security.structured_fields import Bare, FieldError, InnerList, Item, parse_dictionary

_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "alg", "tag"})
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22,126}={0,2}")


class FoundSignature(NamedTuple):
    """A signature of a message, not yet verified."""

    label: str
    inner: InnerList
    value: bytes


def dictionary(where: str, value: str) -> dict[str, Item | InnerList]:
    """The members of a dictionary field. SIGNATURE_MALFORMED for any other text."""
    try:
        return parse_dictionary(value)
    except FieldError as error:
        raise SIGNATURE_MALFORMED(where=where, rule=f"RFC 9651, {error}") from None


def find_signature(headers: Mapping[str, str], tag: str) -> FoundSignature:
    """The only signature with our tag; signatures of others, such as proxies, are ignored."""
    raw_input, raw_signature = headers.get("signature-input"), headers.get("signature")
    if raw_input is None or raw_signature is None:
        raise SIGNATURE_MISSING(where="Signature-Input" if raw_input is None else "Signature")
    ours = []
    for label, member in dictionary("Signature-Input", raw_input).items():
        if not isinstance(member, InnerList):
            raise SIGNATURE_MALFORMED(where="Signature-Input", rule=f"{label}=(…)")
        if member.params.get("tag") == tag:
            ours.append((label, member))
    if not ours:
        raise SIGNATURE_MISSING(where=f'Signature-Input, tag="{tag}"')
    if len(ours) > 1:
        raise SIGNATURE_SEVERAL(found=len(ours), where=f'Signature-Input, tag="{tag}"')
    label, inner = ours[0]
    value = dictionary("Signature", raw_signature).get(label)
    if value is None:
        raise SIGNATURE_MISSING(where=f"Signature, {label}")
    if not isinstance(value, Item) or not isinstance(value.value, bytes) or value.params:
        raise SIGNATURE_MALFORMED(where="Signature", rule=f"{label}=:base64:")
    return FoundSignature(label, inner, value.value)


def check_params(params: dict[str, Bare], need: Sequence[str]) -> dict[str, Bare]:
    """The parameters, checked against the profile; `need` names the required ones."""
    for name, value in params.items():
        if name not in _PARAMETERS:
            raise SIGNATURE_PARAMETER(parameter=name[:40], rule="created, expires, nonce, keyid, alg, tag")
        if name in ("created", "expires"):
            integer(value, name)
        elif type(value) is not str:
            raise SIGNATURE_PARAMETER(parameter=name, rule='"…"')
    for name in need:
        if name not in params:
            raise SIGNATURE_NONCE() if name == "nonce" else SIGNATURE_PARAMETER(parameter=name, rule=f"{name}=…")
    nonce = params.get("nonce")
    if nonce is not None and _NONCE.fullmatch(str(nonce)) is None:
        raise SIGNATURE_NONCE()
    return params


def integer(value: Bare, name: str = "created") -> int:
    """Unix seconds of a parameter."""
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise SIGNATURE_PARAMETER(parameter=name, rule=f"{name}=<Unix seconds>")
    return value


def plain_names(items: Sequence[Item], known: frozenset[str]) -> set[object]:
    """The names of components without parameters, each known and unique."""
    names: set[object] = set()
    for item in items:
        if type(item.value) is not str or item.params or item.value not in known:
            raise SIGNATURE_COMPONENT_UNKNOWN(component=item.text[:80])
        if item.value in names:
            raise SIGNATURE_MALFORMED(where="Signature-Input", rule=f"{item.text} × 1")
        names.add(item.value)
    return names
