"""A system's keys change without interruption: a new key beside the old one, and the end of a stolen one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from examples.story.refusals import VALUES
from examples.story.world import Telling, World, check
from gateway.sample_client.rest import RestClient, TokenRefused
from gateway.sample_client.signing import Signer

SYSTEM = "y-te"


def beside(world: World) -> str:
    """The key is made where it is used. Only the request is sent (PKCS#10)."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:lgsp:system:{SYSTEM}")])
    signing_request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SYSTEM)])
    )
    request = signing_request.add_extension(names, critical=False).sign(key, SHA256())
    with tempfile.TemporaryDirectory(prefix="lgsp-request-") as folder:
        file = Path(folder) / "request.csr"
        file.write_bytes(request.public_bytes(Encoding.PEM))
        done = world.lgsp(
            "registry", "enrol", SYSTEM, "--use", "sign", "--request", str(file), "--data", str(world.data)
        )
    check(done["ok"] and done["added"], f"lgsp registry enrol: {done}")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    signer = Signer.from_pem(done["key"], pem, done["certificate"].encode("ascii"))
    client = world.remembered["second-key"] = RestClient(replace(world.identity(SYSTEM), signer=signer))
    world.wait("the doors know the new key", lambda: _answers(client))
    check(world.rest(SYSTEM).call("GET", VALUES).ok, "the old key goes on")
    return (
        f"{done['key']} issued for a request and taken by the doors while they run; "
        f"{world.identity(SYSTEM).signer.key_id} goes on beside it"
    )


def stolen(world: World) -> str:
    client: RestClient = world.remembered["second-key"]
    name = client.identity.signer.key_id
    done = world.lgsp("registry", "revoke", name, "--reason", "keyCompromise", "--data", str(world.data))
    check(done["ok"] and done["revoked"], f"lgsp registry revoke: {done}")
    answer = world.wait("the doors know of it", lambda: _refused(client))
    words = world.refusal("a stolen key", "signature.key-revoked", answer, status=403)
    listed = world.lgsp("ca", "crl", "sign", "--data", str(world.data))
    revoked = [each.serial_number for each in x509.load_pem_x509_crl(listed["crl"].encode("ascii"))]
    check(client.identity.signer.certificate.serial_number in revoked, "the published revocation list names it")
    check(world.rest(SYSTEM).call("GET", VALUES).ok, "the other key goes on")
    return words


def _answers(client: RestClient) -> bool:
    try:
        return client.call("GET", VALUES).ok
    except TokenRefused:
        return False


def _refused(client: RestClient) -> object:
    answer = client.call("GET", VALUES)
    return None if answer.ok else answer


STEPS: tuple[Telling, ...] = (
    ("a new key serves beside the old one", beside),
    ("a stolen key is refused at once, and others can read it", stolen),
)
