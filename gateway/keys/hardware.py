"""Uses signing keys in a PKCS#11 token (OASIS PKCS #11 2.40), which never leave it, like any other key.

In place of the key, the key file holds a URI (RFC 7512), such as `pkcs11:token=lgsp;object=sign-2;type=private`. The
settings name the module and the PIN file. Needs the extra `pkcs11`. Keys are P-256, or RSA where a token has only that.
Invariants: a session belongs to one process and is used by one thread at a time; a token's refusal is our failure,
never a wrong signature.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from contracts.base.errors import Ours
from gateway.keys.errors import KEYS_TOKEN
from gateway.settings import Settings

SCHEME: Final = "pkcs11:"
_in_use: Final[set[str]] = set()  # modules with a session in this process
_TRIES: Final = 6  # to open a session, within some two seconds
_Sign = Callable[[bytes], bytes]


def uri(token: str, label: str) -> str:
    return f"{SCHEME}token={quote(token, safe='')};object={quote(label, safe='')};type=private"


def place_of(data: bytes) -> tuple[str, str] | None:
    """Token and label that a key file names; None for a file with the key itself."""
    text = data.decode("ascii", "replace").strip()
    if not text.startswith(SCHEME):
        return None
    parts = dict(part.partition("=")[::2] for part in text.removeprefix(SCHEME).split(";"))
    return unquote(parts.get("token", "")), unquote(parts.get("object", ""))


def _session(module: str, name: str, pin: str) -> Any:
    """A session with the token. Several processes start at once, and a token in files (SoftHSM) then fails one of some
    fifty, also as a token without a PIN: it is tried again. A wrong PIN is not: a token locks itself after a few.
    """
    import pkcs11

    pins: Final = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinExpired, pkcs11.PinLocked)
    for attempt in Retrying(
        stop=stop_after_attempt(_TRIES),
        wait=wait_random_exponential(multiplier=0.1, max=1.0),
        retry=retry_if_exception(lambda it: isinstance(it, pkcs11.PKCS11Error) and not isinstance(it, pins)),
        reraise=True,
    ):
        with attempt:
            library = pkcs11.lib(module)
            if attempt.retry_state.attempt_number > 1 and module not in _in_use:
                library.reinitialize()  # it knows the tokens that it found when it began; this ends open sessions
            session = library.get_token(token_label=name).open(user_pin=pin, rw=True)
            _in_use.add(module)
            return session
    raise AssertionError("the last attempt raises")


class Token:
    """An open session with a token."""

    def __init__(self, module: str, name: str, pin_file: str) -> None:
        try:
            import pkcs11
        except ImportError:
            raise KEYS_TOKEN(token=name, reason="python-pkcs11 is not installed (extra pkcs11)") from None
        self.name: Final = name
        self._lock: Final = threading.Lock()
        try:
            pin = Path(pin_file).read_text("utf-8").strip()
            self._session: Final = _session(module, name, pin)
        except (OSError, RuntimeError, pkcs11.PKCS11Error) as trouble:
            raise KEYS_TOKEN(token=name, reason=_words(trouble)) from None

    def private(self, label: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
        """The key of that label, as a key of `cryptography`."""
        from pkcs11 import KeyType, Mechanism, ObjectClass
        from pkcs11.util.ec import encode_ec_public_key
        from pkcs11.util.rsa import encode_rsa_public_key

        with self._locked(label):
            key: Any = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)
            half: Any = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=label)
            if key.key_type is KeyType.EC:
                public = serialization.load_der_public_key(encode_ec_public_key(half))
            else:
                public = serialization.load_der_public_key(encode_rsa_public_key(half))

        def sign(data: bytes, mechanism: Mechanism, parameters: Any = None) -> bytes:
            with self._locked(label):
                signature: bytes = key.sign(data, mechanism=mechanism, mechanism_param=parameters)
                return signature

        if isinstance(public, ec.EllipticCurvePublicKey):
            return TokenEcKey(public, lambda digest: sign(digest, Mechanism.ECDSA))
        if isinstance(public, rsa.RSAPublicKey):
            return TokenRsaKey(public, sign)
        raise KEYS_TOKEN(token=self.name, reason=f"{label}: {type(public).__name__}")

    def make(self, label: str) -> None:
        """Makes a P-256 key that cannot be exported, unless there is one of that label."""
        from pkcs11 import Attribute, KeyType, NoSuchKey, ObjectClass
        from pkcs11.util.ec import encode_named_curve_parameters

        with self._locked(label):
            try:
                self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)
            except NoSuchKey:
                curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
                parameters: Any = self._session.create_domain_parameters(KeyType.EC, curve, local=True)
                parameters.generate_keypair(store=True, label=label)

    def destroy(self, label: str) -> None:
        from pkcs11 import Attribute

        with self._locked(label):
            for part in list(self._session.get_objects({Attribute.LABEL: label})):
                part.destroy()

    def _locked(self, label: str) -> _Locked:
        return _Locked(self._lock, self.name, label)


class _Locked:
    """One call to the token at a time; its refusal becomes our failure."""

    __slots__ = ("_label", "_lock", "_name")

    def __init__(self, lock: threading.Lock, name: str, label: str) -> None:
        self._lock, self._name, self._label = lock, name, label

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, _kind: object, trouble: BaseException | None, _trace: object) -> None:
        self._lock.release()
        if trouble is not None and not isinstance(trouble, Ours):
            raise KEYS_TOKEN(token=self._name, reason=f"{self._label}: {_words(trouble)}") from None


def _words(trouble: BaseException) -> str:
    return f"{type(trouble).__name__} {trouble}".strip()


def _never(*_: Any, **__: Any) -> NoReturn:
    raise TypeError("the key lies in a token and does not leave it")


def _is_digest(algorithm: object, data: Any) -> bool:
    """Whether the data are a SHA-256."""
    return isinstance(algorithm, Prehashed) and len(data) == algorithm.digest_size == hashes.SHA256.digest_size


class TokenEcKey(ec.EllipticCurvePrivateKey):
    """A key on P-256 that signs in the token."""

    def __init__(self, public: ec.EllipticCurvePublicKey, sign: _Sign) -> None:
        self._public, self._sign = public, sign

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        digested = signature_algorithm.algorithm if isinstance(signature_algorithm, ec.ECDSA) else None
        if isinstance(digested, hashes.SHA256):
            raw = self._sign(hashlib.sha256(data).digest())
        elif _is_digest(digested, data):
            raw = self._sign(bytes(data))
        else:
            _never()
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    exchange = private_numbers = private_bytes = _never

    def __copy__(self) -> TokenEcKey:
        return self

    def __deepcopy__(self, _memo: object) -> TokenEcKey:
        return self


class TokenRsaKey(rsa.RSAPrivateKey):
    """An RSA key that signs in the token, with the two paddings of the profiles."""

    def __init__(self, public: rsa.RSAPublicKey, sign: Callable[..., bytes]) -> None:
        self._public, self._sign = public, sign

    def sign(self, data: Any, padding_of: Any, algorithm: Any) -> bytes:
        from pkcs11 import MGF, Mechanism

        if isinstance(padding_of, padding.PKCS1v15) and isinstance(algorithm, hashes.SHA256):
            return self._sign(bytes(data), Mechanism.SHA256_RSA_PKCS)
        if isinstance(padding_of, padding.PSS) and isinstance(algorithm, hashes.SHA256):
            return self._sign(bytes(data), Mechanism.SHA256_RSA_PKCS_PSS, (Mechanism.SHA256, MGF.SHA256, 32))
        if isinstance(padding_of, padding.PSS) and isinstance(algorithm, hashes.SHA512):
            return self._sign(bytes(data), Mechanism.SHA512_RSA_PKCS_PSS, (Mechanism.SHA512, MGF.SHA512, 64))
        if isinstance(padding_of, padding.PSS) and _is_digest(algorithm, data):
            return self._sign(bytes(data), Mechanism.RSA_PKCS_PSS, (Mechanism.SHA256, MGF.SHA256, 32))
        _never()

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public

    @property
    def key_size(self) -> int:
        return self._public.key_size

    decrypt = private_numbers = private_bytes = _never

    def __copy__(self) -> TokenRsaKey:
        return self

    def __deepcopy__(self, _memo: object) -> TokenRsaKey:
        return self


@lru_cache(maxsize=4)
def _opened(module: str, name: str, pin_file: str) -> Token:
    return Token(module, name, pin_file)


def token(settings: Settings, name: str) -> Token:
    """The token of that label, opened once a process."""
    if not settings.pkcs11_module:
        raise KEYS_TOKEN(token=name, reason="pkcs11_module is not set")
    return _opened(settings.pkcs11_module, name, settings.pkcs11_pin_file)
