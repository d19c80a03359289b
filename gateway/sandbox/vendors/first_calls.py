"""What the pages of a tenant show beside the first calls of `contracts.faces.pages.first_calls`: the commands that make
keys, and the calls as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.faces.pages.first_calls import FirstCall


def openssl(system: str, hosts: Sequence[str]) -> str:
    """The commands that make three keys and their requests. Hosts are those at which the system is called."""
    names = [f"URI:urn:lgsp:system:{system}"]
    server = ",".join([*names, *(f"{'IP' if _is_address(each) else 'DNS'}:{each}" for each in hosts)])
    lines = ["umask 077"]
    for use, how in (("tls", _P256), ("sign", _P256), ("encrypt", "RSA -pkeyopt rsa_keygen_bits:3072")):
        alternative = server if use == "tls" else names[0]
        lines.append(f"openssl genpkey -algorithm {how} -out {use}.key")
        lines.append(
            f"openssl req -new -key {use}.key -subj /CN={system} -addext 'subjectAltName={alternative}' -out {use}.csr"
        )
    return "\n".join(lines)


_P256: Final = "EC -pkeyopt ec_paramgen_curve:P-256"


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def as_json(calls: Sequence[FirstCall]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "contract": each.contract,
            "operation": each.operation,
            "protocol": each.protocol,
            "commands": dict(each.commands),
        }
        for each in calls
    ]
