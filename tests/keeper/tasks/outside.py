"""A certification authority outside the house, made with `cryptography` alone: root, issuing authority, certificates,
CRLs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey
DAY = timedelta(days=1)


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


@dataclass
class Outside:
    """`now` is the moment that everything is made at."""

    now: float
    common: str = "Tổ chức chứng thực chuyên dùng"
    root_key: Key = field(default_factory=new_key)
    key: Key = field(default_factory=new_key)

    def __post_init__(self) -> None:
        root = name(f"{self.common} gốc")
        self.root = self._certificate(root, root, self.root_key, self.root_key, 3650, ca=True)
        self.issuer = self._certificate(name(self.common), root, self.key, self.root_key, 1800, ca=True)

    @property
    def pem(self) -> str:
        return pem(self.root) + pem(self.issuer)

    def at(self, seconds: float = 0.0) -> datetime:
        return datetime.fromtimestamp(int(self.now + seconds), UTC)

    def issue(
        self,
        common: str,
        key: Key,
        *uses: x509.ObjectIdentifier,
        days: float = 300,
        begins: float = -3600.0,
        uri: str = "",
        points: str = "",
    ) -> x509.Certificate:
        """A leaf; without `uses` it is a client's."""
        return self._certificate(
            name(common),
            self.issuer.subject,
            key,
            self.key,
            days,
            uses=uses or (ExtendedKeyUsageOID.CLIENT_AUTH,),
            begins=begins,
            uri=uri,
            points=points,
        )

    def crl(
        self,
        *revoked: x509.Certificate,
        begins: float = -60.0,
        lasts: float = 3600.0,
        number: int = 1,
        key: Key | None = None,
        root: bool = False,
    ) -> bytes:
        """DER, by the issuing authority, or by the root."""
        issuer, own = (self.root, self.root_key) if root else (self.issuer, self.key)
        made = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
        made = (
            made.last_update(self.at(begins))
            .next_update(self.at(begins + lasts))
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(self.at(begins))
            made = made.add_revoked_certificate(
                entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False).build()
            )
        return made.sign(key or own, hashes.SHA256()).public_bytes(Encoding.DER)

    def ocsp(
        self,
        question: bytes,
        *revoked: x509.Certificate,
        of: x509.Certificate,
        begins: float = -60.0,
        lasts: float | None = 3600.0,
        by: tuple[x509.Certificate, Key] | None = None,
        unknown: bool = False,
        nonce: bytes | None = None,
        algorithm: hashes.HashAlgorithm | None = None,
        issuer: x509.Certificate | None = None,
    ) -> bytes:
        """The answer to a question about `of`, by the issuing authority or by a responder (`by`: certificate and key).
        `issuer`: who is said to have issued it."""
        asked = ocsp.load_der_ocsp_request(question)
        responder, own = by or (self.issuer, self.key)
        gone = of in revoked
        status = (
            ocsp.OCSPCertStatus.UNKNOWN
            if unknown
            else ocsp.OCSPCertStatus.REVOKED
            if gone
            else ocsp.OCSPCertStatus.GOOD
        )
        made = ocsp.OCSPResponseBuilder().add_response(
            cert=of,
            issuer=issuer or self.issuer,
            algorithm=hashes.SHA256() if algorithm is None else algorithm,
            cert_status=status,
            this_update=self.at(begins),
            next_update=self.at(begins + lasts) if lasts is not None else None,
            revocation_time=self.at(begins) if gone else None,
            revocation_reason=x509.ReasonFlags.key_compromise if gone else None,
        )
        made = made.responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
        if by is not None:
            made = made.certificates([responder])
        told = nonce or asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        made = made.add_extension(x509.OCSPNonce(told), critical=False)
        return made.sign(own, hashes.SHA256()).public_bytes(Encoding.DER)

    def _certificate(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: Key,
        by: Key,
        days: float,
        *,
        ca: bool = False,
        uses: tuple[x509.ObjectIdentifier, ...] = (),
        begins: float = -3600.0,
        uri: str = "",
        points: str = "",
    ) -> x509.Certificate:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        made = (
            made.serial_number(x509.random_serial_number())
            .not_valid_before(self.at(begins))
            .not_valid_after(self.at(begins) + days * DAY)
        )
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        usage = dict.fromkeys(
            ("key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
        )
        made = made.add_extension(
            x509.KeyUsage(digital_signature=not ca, content_commitment=False, key_cert_sign=ca, crl_sign=ca, **usage),
            critical=True,
        )
        if uses:
            made = made.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        if points:
            address = [x509.UniformResourceIdentifier(points)]
            made = made.add_extension(
                x509.CRLDistributionPoints([x509.DistributionPoint(address, None, None, None)]), critical=False
            )
            access = [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, address[0])]
            made = made.add_extension(x509.AuthorityInformationAccess(access), critical=False)
        if uri:
            made = made.add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
            )
        return made.sign(by, hashes.SHA256())
