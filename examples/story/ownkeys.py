"""The gateway's public keys as anybody sees them, and the doctor's findings for its operator."""

from __future__ import annotations

import json

from cryptography import x509

from examples.story.world import Telling, World, check
from gateway.sample_client.keyset import is_authority
from gateway.sample_client.transport import Transport


def published(world: World) -> str:
    """A client that has the authority's certificate and nothing else."""
    identity = world.identity("dieu-hanh")
    answer = Transport(identity.gateway, identity.client_context(with_certificate=False), 10.0).send(
        "GET", "/keys", {}, b""
    )
    check(answer.status == 200, f"expected the keys, got {answer.status}")
    anchors = [
        each
        for each in x509.load_pem_x509_certificates((identity.folder / "ca.crt").read_bytes())
        if is_authority(each)
    ]
    lines = []
    for use, keys in json.loads(answer.body).items():
        for key in keys:
            certificate = x509.load_pem_x509_certificate(key["certificate"].encode())
            issuers = [each for each in anchors if each.subject == certificate.issuer]
            check(len(issuers) == 1, f"one authority for {key['id']}")
            certificate.verify_directly_issued_by(issuers[0])
            if key["current"]:
                lines.append(f"{use} {key['id']}")
    check({each.split()[0] for each in lines} == {"sign", "encrypt", "tls"}, f"keys of each use, found {lines}")
    return f"{', '.join(lines)}: each issued by the authority that the systems trust already"


def doctor(world: World) -> str:
    report = world.lgsp("doctor", "--data", str(world.data))
    check(report["ok"], f"the doctor finds something grave: {[each['code'] for each in report.get('findings', [])]}")
    return f"{len(report['looked_for'])} weaknesses looked for, none of them grave"


STEPS: tuple[Telling, ...] = (
    ("the gateway's keys can be learnt by whoever trusts their authority", published),
    ("the doctor is content", doctor),
)
