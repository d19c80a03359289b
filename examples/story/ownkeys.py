"""What anybody may see of the gateway's keys, and what its operator is told of the instance."""

from __future__ import annotations

import json

from cryptography import x509

from examples.story.world import Telling, World, check
from gateway.sample_client.keyset import is_authority
from gateway.sample_client.transport import Transport


def published(world: World) -> str:
    """A stranger, who has the authority's certificate and nothing else."""
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
    told = []
    for use, keys in json.loads(answer.body).items():
        for key in keys:
            certificate = x509.load_pem_x509_certificate(key["certificate"].encode())
            issuers = [each for each in anchors if each.subject == certificate.issuer]
            check(len(issuers) == 1, f"one authority for {key['id']}")
            certificate.verify_directly_issued_by(issuers[0])
            if key["current"]:
                told.append(f"{use} {key['id']}")
    check({each.split()[0] for each in told} == {"sign", "encrypt", "tls"}, f"keys of each use, found {told}")
    return f"{', '.join(told)}: each vouched for by the authority that the systems trust already"


def doctor(world: World) -> str:
    found = world.lgsp("doctor", "--data", str(world.data))
    check(found["ok"], f"the doctor finds something grave: {[each['code'] for each in found.get('findings', [])]}")
    return f"{len(found['looked_for'])} weaknesses looked for, none of them grave"


STEPS: tuple[Telling, ...] = (
    ("the gateway's keys can be learnt by whoever trusts their authority", published),
    ("the doctor is content", doctor),
)
