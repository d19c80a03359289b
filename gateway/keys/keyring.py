"""Makes, reads and replaces an instance's own keys: files with strict modes, outside the database.

    ca/    root, TLS and signing issuer of the embedded authority      keys/  the gateway's own
           (a production instance keeps root.key offline)             server, client, sign, decrypt, hash.key, log.key

A replaced key gets a new **generation** beside the old one: `sign.key` and `sign.crt`, then `sign-2.key` and
`sign-2.crt`. The newest generation with both files is the current one. The certificate appears last, in one step, so no
reader sees half a pair.
Invariants: only its owner can read a key file; it is written whole or not at all; nothing here is ever logged.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.durable import write_new
from gateway.keys import hardware
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.errors import KEYS_MISSING
from gateway.keys.key_encryption import AtRest
from gateway.settings import Settings
from security import algorithms
from security.algorithms import PublicKey
from security.encryption_keys import DecryptKey
from security.keys import SigningKey, VerifyKey, load_certificate
from security.pki import authority
from security.pki.authority import Authority

SYSTEM: Final = authority.GATEWAY
_TICK: Final = 1.0  # seconds
SIGN_KEY_ID: Final = "gateway.sign-1"
DECRYPT_KEY_ID: Final = "gateway.encrypt-1"

Use = Literal["tls", "sign", "encrypt"]
# The keys that can be replaced: file, the word for it in key ids, what it is for.
NAMES: Final[dict[str, tuple[str, Use]]] = {
    "server": ("server", "tls"),
    "client": ("client", "tls"),
    "sign": ("sign", "sign"),
    "decrypt": ("encrypt", "encrypt"),
}
DESK: Final = "desk"  # of the people's listener, where the embedded authority certifies it
_USES: Final[dict[str, tuple[str, Use]]] = {**NAMES, DESK: (DESK, "tls")}


@dataclass(frozen=True, slots=True)
class Generation:
    """A key and its certificate; `number` counts from 1. The key of an older one may be gone."""

    name: str
    number: int
    key: Path
    certificate: Path

    @property
    def key_id(self) -> str:
        return f"{SYSTEM}.{_USES[self.name][0]}-{self.number}"

    @property
    def use(self) -> Use:
        return _USES[self.name][1]

    def pem(self) -> bytes:
        return self.certificate.read_bytes()


@dataclass(frozen=True, slots=True)
class Published:
    """A certificate of the gateway that others may rely on; `chain` leads from its issuer to the root."""

    key_id: str
    use: Use
    current: bool
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


def _decrypt_key(of: Generation, pem: bytes, password: bytes | None) -> DecryptKey:
    return DecryptKey.from_pem(of.key_id, pem, of.pem(), password=password)


class Keyring:
    """Reads what `make_keys` and `rotate` wrote: paths for TLS, which wants files, and values for the rest."""

    def __init__(self, settings: Settings) -> None:
        self.settings: Final = settings
        self._keys = settings.keys
        self._ca = settings.authority
        self.trust_anchors: Final = self._ca / "anchors.pem"
        self.log_key: Final = self._keys / "log.key"
        self.log_vkey: Final = settings.data / "log" / "log.vkey"
        self._published: tuple[int, tuple[Published, ...]] = (-1, ())

    @cached_property
    def at_rest(self) -> AtRest:
        """Read when a secret is needed: whoever only looks at certificates may not be able to read it."""
        return AtRest.of(self.settings)

    @property
    def client_anchors(self) -> Path:
        """Of systems alone, on either side: in a sandbox, vendors have an issuer that nothing else trusts."""
        systems = self._ca / "systems.pem"
        return systems if systems.exists() else self.trust_anchors

    # --- generations --------------------------------------------------------------------------------------------------

    def generations(self, name: str) -> tuple[Generation, ...]:
        """Those with a certificate, newest first."""
        pattern = re.compile(rf"{name}(?:-(\d+))?\.crt")
        matches = [match for path in self._keys.glob(f"{name}*.crt") if (match := pattern.fullmatch(path.name))]
        numbers = sorted((int(match[1] or 1) for match in matches), reverse=True)
        return tuple(self.generation(name, number) for number in numbers)

    def generation(self, name: str, number: int) -> Generation:
        stem = name if number == 1 else f"{name}-{number}"
        return Generation(name, number, self._keys / f"{stem}.key", self._keys / f"{stem}.crt")

    def current(self, name: str) -> Generation:
        for each in self.generations(name):
            if each.key.exists():
                return each
        raise KEYS_MISSING(name=name, folder=self._keys)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the keys that there are."""
        return (*NAMES, *([DESK] if self.generations(DESK) else []))

    @property
    def server_certificate(self) -> Path:
        return self.current("server").certificate

    @property
    def server_key(self) -> Path:
        return self.current("server").key

    @property
    def client_certificate(self) -> Path:
        return self.current("client").certificate

    @property
    def client_key(self) -> Path:
        return self.current("client").key

    @property
    def sign_certificate(self) -> Path:
        return self.current("sign").certificate

    @property
    def encrypt_certificate(self) -> Path:
        return self.current("decrypt").certificate

    # --- keys ---------------------------------------------------------------------------------------------------------

    def signing_key(self) -> SigningKey:
        now = self.current("sign")
        place = hardware.place_of(now.key.read_bytes())
        if place is not None:
            return SigningKey.make(now.key_id, hardware.token(self.settings, place[0]).private(place[1]), now.pem())
        return self.at_rest.private(
            now.key, lambda pem, password: SigningKey.from_pem(now.key_id, pem, now.pem(), password=password)
        )

    def decrypt_keys(self) -> tuple[DecryptKey, ...]:
        """The keys for bodies to the gateway, newest first; older ones decrypt until they are destroyed."""
        kept = [each for each in self.generations("decrypt") if each.key.exists()]
        return tuple(self.at_rest.private(each.key, partial(_decrypt_key, each)) for each in kept)

    def hash_key(self) -> bytes:
        return self.at_rest.read(self._keys / "hash.key")

    def issuer(self, name: str) -> Authority:
        """`tls` or `sign`: an issuer of the embedded authority with the root above it."""
        certificate, root = (self._ca / f"{name}.crt").read_bytes(), (self._ca / "root.crt").read_bytes()
        return self.at_rest.private(
            self._ca / f"{name}.key",
            lambda pem, password: Authority.from_pem(certificate, pem, [root], password=password),
        )

    # --- what others may rely on --------------------------------------------------------------------------------------

    def published(self, now: float) -> tuple[Published, ...]:
        """The gateway's unexpired certificates, current ones first; read again when the folder has changed."""
        stamp = self._keys.stat().st_mtime_ns
        read_at, published = self._published
        if stamp != read_at:
            published = tuple(self._read_published())
            # A change within one tick of the file system's clock has the same stamp: a fresh one is not remembered.
            self._published = (stamp if now - stamp / 1e9 > _TICK else -1, published)
        return tuple(each for each in published if each.certificate.not_valid_after_utc.timestamp() > now)

    def verify_key(self, key_id: str, now: float) -> VerifyKey | None:
        """A signing key of the gateway by its id: an older or a newer key may have signed a valid token."""
        for each in self.published(now):
            if each.key_id == key_id and each.use == "sign":
                der = each.certificate.public_bytes(serialization.Encoding.DER)
                return VerifyKey.from_certificate(key_id, SYSTEM, der)
        return None

    def _read_published(self) -> Iterator[Published]:
        authorities = x509.load_pem_x509_certificates(self.trust_anchors.read_bytes())
        for name in NAMES:
            current = self.current(name).number
            for each in self.generations(name):
                first, *above = x509.load_pem_x509_certificates(each.pem())
                yield Published(
                    each.key_id, each.use, each.number == current, first, _chain(first, [*above, *authorities])
                )


def _chain(certificate: x509.Certificate, known: Sequence[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """From the issuer upwards, as far as it is known."""
    chain: list[x509.Certificate] = []
    while certificate.issuer != certificate.subject:
        issuer = next((each for each in known if each.subject == certificate.issuer), None)
        if issuer is None:
            break
        chain.append(issuer)
        certificate = issuer
    return tuple(chain)


# --- making -----------------------------------------------------------------------------------------------------------


def make_keys(settings: Settings, now: float, *, hosts: Sequence[str]) -> None:
    """The embedded authority and the gateway's own keys, for a new instance. `hosts`: of the server's certificate."""
    ca, keys = settings.authority, settings.keys
    for folder in (ca, keys, settings.vault_keys):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    at_rest = AtRest.of(settings)
    root = authority.make_root(f"{settings.name} root", now)
    issuers = {name: authority.make_issuer(root, f"{settings.name} {name} issuer", now) for name in ("tls", "sign")}
    write_new(ca / "root.key", root.private_pem(at_rest.password))
    (ca / "root.crt").write_bytes(root.pem)
    for name, issuer in issuers.items():
        write_new(ca / f"{name}.key", issuer.private_pem(at_rest.password))
        (ca / f"{name}.crt").write_bytes(issuer.pem)
    (ca / "anchors.pem").write_bytes(root.pem + issuers["tls"].pem + issuers["sign"].pem)
    if settings.kind == "sandbox":
        EmbeddedAuthority(settings).ensure_vendors(now)
    keyring = Keyring(settings)
    for name in NAMES:
        prepare(keyring, name, 1, now, hosts).put()
    write_new(keys / "hash.key", at_rest.form("hash.key", secrets.token_bytes(32)))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new generation whose key is on disk and whose certificate is not, so that it is not used yet."""

    generation: Generation
    certificate: bytes

    def put(self) -> None:
        """Makes it the current one, for whoever reads from now on."""
        draft = self.generation.certificate.with_suffix(".part")
        draft.write_bytes(self.certificate)
        draft.replace(self.generation.certificate)


def prepare(
    keyring: Keyring, name: str, number: int, now: float, hosts: Sequence[str], in_token: str | None = None
) -> Prepared:
    """Makes a key, in a file or under that label in the token, and certifies it by the embedded authority."""
    settings = keyring.settings
    if in_token is not None:
        token = hardware.token(settings, settings.pkcs11_token)
        token.make(in_token)
        public: PublicKey = token.private(in_token).public_key()
        content = hardware.uri(settings.pkcs11_token, in_token).encode("ascii") + b"\n"
    else:
        private = algorithms.new_private("RSA-3072" if name == "decrypt" else "P-256")  # SOAP encrypts for RSA only
        public, content = private.public_key(), authority.private_pem(private, keyring.at_rest.password)
    use = _USES[name][1]
    issuer = keyring.issuer("tls" if use == "tls" else "sign")
    if name in ("server", DESK):
        certificate = authority.issue_server(issuer, public, hosts, now) + issuer.pem
    elif name == "client":
        certificate = authority.issue_tls(issuer, SYSTEM, public, now) + issuer.pem
    elif name == "decrypt":
        certificate = authority.issue_encryption(issuer, SYSTEM, public, now)
    else:
        certificate = authority.issue_signing(issuer, SYSTEM, public, now)
    generation = keyring.generation(name, number)
    write_new(generation.key, content)
    return Prepared(generation, certificate)


def next_generation(
    keyring: Keyring, name: str, now: float, in_token: str | None = None, *, hosts: Sequence[str] = ()
) -> Prepared:
    """Prepares the generation after the current one, with the same host names, or with these."""
    current = keyring.current(name)
    pattern = re.compile(rf"{name}(?:-(\d+))?\..*")  # also withdrawn and unfinished ones: no number is used twice
    matches = [match for path in current.key.parent.iterdir() if (match := pattern.fullmatch(path.name))]
    newest = max(int(match[1] or 1) for match in matches)
    return prepare(keyring, name, newest + 1, now, hosts or hosts_of(current.pem()), in_token)


def hosts_of(pem: bytes) -> tuple[str, ...]:
    """Names and addresses of a server's certificate."""
    try:
        names = load_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))


def retire(keyring: Keyring, name: str, now: float, *, at_once: bool = False) -> tuple[str, ...]:
    """Destroys older keys that are no longer needed; returns their ids.

    Old keys of TLS and signatures go; their certificates stay until they expire. Old decryption keys stay until then.
    `at_once`: the key was stolen, so any old key goes, and its certificate is withdrawn.
    """
    current = keyring.current(name).number
    gone: list[str] = []
    for each in keyring.generations(name):
        if each.number == current:
            continue
        expired = load_certificate(each.pem()).not_valid_after_utc.timestamp() <= now
        if each.key.exists() and (at_once or expired or each.use != "encrypt"):
            place = hardware.place_of(each.key.read_bytes())
            if place is not None:
                hardware.token(keyring.settings, place[0]).destroy(place[1])
            each.key.unlink()
            gone.append(each.key_id)
        if at_once or expired:
            each.certificate.replace(each.certificate.with_suffix(".withdrawn" if at_once else ".expired"))
    return tuple(gone)
