"""What the new machine does: `lgsp machine join`.

1. It makes its own key, in the folder `.joining` below the new data folder, and keeps it there: a join that was cut
   short goes on with the same key, and the gateway takes that one again.
2. It hands in the public key under the invitation's certificate, and asks until the keys are sealed for it.
3. It checks the bundle, writes the whole data folder in `.joining`, and declares it whole by one rename, as a new
   instance is made. Nothing serves from a folder that is not whole.
4. It says that it has the keys, so that nothing is kept for it.
"""

from __future__ import annotations

import http.client
import json
import shutil
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway import __version__
from gateway.durable import make_folder, sync_folder, write_new
from gateway.journal import processes
from gateway.keys.key_encryption import AtRest
from gateway.machines import bundles, material, own
from gateway.machines.agreeing import OWN
from gateway.machines.bundles import Bundle
from gateway.machines.errors import (
    MACHINE_INVITATION_EXPIRED,
    MACHINE_INVITATION_USED,
    MACHINE_INVITATION_WITHDRAWN,
    MACHINE_NO_SECRET,
    MACHINE_NOT_REACHED,
    MACHINE_REFUSED,
)
from gateway.machines.invitation import Invitation
from gateway.machines.joining import PATH, HandedIn
from gateway.machines.own import Handed
from gateway.machines.secrets import Secrets
from gateway.settings import FILE, NO_INSTANCE, WHOLE, BadSetting, Settings, load
from gateway.settings.saving import save
from gateway.settings.sources import checked, written

DRAFT: Final = ".joining"
WAIT_SECONDS: Final = 120.0
_ANSWER_SECONDS: Final = 30.0
_LARGEST: Final = bundles.LARGEST + 4096
_ASK_SECONDS: Final = 0.5
_OVER: Final = {
    each.code: each for each in (MACHINE_INVITATION_EXPIRED, MACHINE_INVITATION_USED, MACHINE_INVITATION_WITHDRAWN)
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`own` are the settings of this machine alone; `database` replaces the address that the others use."""

    data: Path
    own: dict[str, Any] = field(default_factory=dict)
    database: str = ""


def join(invitation: Invitation, wanted: Wanted, wait_seconds: float = WAIT_SECONDS) -> Settings:
    """Make this machine one of the instance. Raises failures, OSError, and `BadSetting` by way of the settings.

    An invitation that is over leaves nothing behind: a key of another secret would not open for the next one.
    """
    try:
        return _join(invitation, wanted, wait_seconds)
    except Failure as failure:
        if failure.code in _OVER:
            forget(wanted.data)
        raise


def _join(invitation: Invitation, wanted: Wanted, wait_seconds: float) -> Settings:
    place = wanted.data
    if (place / WHOLE).exists():
        settings = _moved_up(place)
    elif _joined(place, invitation.machine):
        settings = load(place)
    else:
        settings = _received_and_written(invitation, wanted, wait_seconds)
    # The keys are here: what cannot be said now, the keeper sees at the next start.
    with suppress(Failure), _Listener.of(invitation, place) as listener:
        listener.ask("DELETE")
    return settings


def strange(place: Path, machine: str) -> str:
    """What the folder holds that no join of this machine began; empty if one may begin or go on there."""
    names = {each.name for each in place.iterdir()} if place.exists() else set()
    others = names - NO_INSTANCE - {DRAFT}
    return "" if WHOLE in names or _joined(place, machine) else min(others, default="")


def _joined(place: Path, machine: str) -> bool:
    settings = load(place, {})
    return settings.is_made and settings.machine == machine


def _received_and_written(invitation: Invitation, wanted: Wanted, wait_seconds: float) -> Settings:
    place = wanted.data
    wanted = replace(wanted, own={**_lying(place), **wanted.own})
    draft = place / DRAFT
    secret_file = str(wanted.own.get("secret_file", ""))
    if invitation.protected and not secret_file:
        raise MACHINE_NO_SECRET()
    at_rest = AtRest.of(Settings(place, secret_file=secret_file))
    make_folder(draft)
    make_folder(draft / "keys")
    key = own.make_key(draft / "keys", at_rest)
    with _Listener.of(invitation, draft) as listener:
        public = own.public_pem(key)
        proof = invitation.shared.proof_of(public)
        handed = HandedIn(public, proof, processes.host()[:300] or "-", __version__)
        listener.ask("POST", handed.json())
        bundle = _received(listener, invitation, key, wait_seconds)
    return _moved_up(place, _write(draft, invitation, wanted, bundle))


def _received(
    listener: _Listener, invitation: Invitation, key: ec.EllipticCurvePrivateKey, wait_seconds: float
) -> Bundle:
    until = time.monotonic() + wait_seconds
    while True:
        status, body = listener.ask("GET")
        if status == 200:
            value = json.loads(body)
            return bundles.unseal(str(value["sealed"]), int(value["generation"]), key, invitation.shared)
        if time.monotonic() > until:
            raise MACHINE_NOT_REACHED(address=invitation.address, reason="no keeper sealed the keys")
        time.sleep(_ASK_SECONDS)


def _write(draft: Path, invitation: Invitation, wanted: Wanted, bundle: Bundle) -> Settings:
    """The data folder in `draft`, and the settings of its final place."""
    values = {
        **_as_setup(bundle.settings),
        **bundle.settings,
        **wanted.own,
        "machine": invitation.machine,
        "live": False,
    }
    if wanted.database:
        values["database"] = wanted.database
    settings = Settings(draft, **values)
    material.checked(settings, bundle.files, joining=True)
    shared = {name: content for name, content in bundle.files.items() if name not in material.SEEN}
    material.install(settings, shared)
    for name in material.SEEN & bundle.files.keys():
        (draft / name).unlink(missing_ok=True)
        write_new(draft / name, bundle.files[name])
    settings.vault_keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    Handed(bundle.generation, Secrets.of(settings).digest(shared)).write(settings)
    save(settings)
    for folder in ("keys", "ca", "log", "."):
        sync_folder(draft / folder)
    return replace(settings, data=wanted.data)


def _lying(place: Path) -> dict[str, Any]:
    """The settings of this machine alone that lie in the folder. Raises `BadSetting` for another one."""
    lies = written(place)
    for name in sorted(lies.values.keys() - OWN):
        vi = f"{name} đến cùng các khóa; trước khi tham gia, tệp này chỉ nêu thiết lập riêng của máy"
        en = f"{name} comes with the keys; before the join this file has only settings of this machine alone"
        where = lies.places.get(name, Words(FILE, FILE))
        raise BadSetting(Words(f"{where.vi}: {vi}", f"{where.en}: {en}"))
    settings = checked(place, lies, {})
    return {name: getattr(settings, name) for name in lies.values}


def _as_setup(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where a production machine listens, unless it says so itself: as `lgsp setup` has it for the first one."""
    if settings.get("kind") != "production":
        return {}
    port = urlsplit(str(settings.get("public_base", ""))).port
    # component systems call from elsewhere
    return {"host": "0.0.0.0", **({"exchange_port": port} if port is not None else {})}  # noqa: S104


def _moved_up(place: Path, settings: Settings | None = None) -> Settings:
    """Declare the folder whole by one rename, then move its content up; the settings last."""
    whole = place / WHOLE
    if settings is not None:
        (place / DRAFT).rename(whole)
        sync_folder(place)
    for each in sorted(whole.iterdir(), key=lambda each: each.name == FILE):
        each.replace(place / each.name)
    whole.rmdir()
    with suppress(PermissionError):
        place.chmod(0o700)
    sync_folder(place)
    return settings if settings is not None else load(place)


def forget(place: Path) -> None:
    """Delete what a join began."""
    shutil.rmtree(place / DRAFT, ignore_errors=True)


class _Listener:
    """The exchange listener of a machine that runs, asked under the invitation's certificate."""

    FILE: Final = ".invitation.pem"  # while it is loaded: TLS wants a file

    def __init__(self, invitation: Invitation, context: ssl.SSLContext) -> None:
        parts = urlsplit(invitation.address)
        self._machine: Final = invitation.machine
        self._address: Final = invitation.address
        self._connection: Final = _Connection(parts.hostname or "", parts.port or 443, invitation.server, context)

    @classmethod
    def of(cls, invitation: Invitation, folder: Path) -> _Listener:
        pair = folder / cls.FILE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=invitation.anchors)
        pair.unlink(missing_ok=True)
        try:
            write_new(pair, (invitation.certificate + invitation.key).encode())
            context.load_cert_chain(pair)
        finally:
            pair.unlink(missing_ok=True)
        return cls(invitation, context)

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Raises `machine.not-reached`; `machine.invitation-used` and `-expired` as the gateway does; for what else it
        refuses, `machine.refused` with its code."""
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            self._connection.request(method, PATH, body, headers)
            answer = self._connection.getresponse()
            content = answer.read(_LARGEST + 1)
        except (OSError, http.client.HTTPException) as trouble:
            self._connection.close()
            reason = getattr(trouble, "strerror", None) or str(trouble) or type(trouble).__name__
            raise MACHINE_NOT_REACHED(address=self._address, reason=reason) from None
        if answer.status >= 300:
            code = _code(content, answer.status)
            raise _OVER[code](name=self._machine) if code in _OVER else MACHINE_REFUSED(code=code)
        return answer.status, content


class _Connection(http.client.HTTPSConnection):
    """The server is named by the invitation: its address may be another than the one in its certificate."""

    def __init__(self, host: str, port: int, server: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=_ANSWER_SECONDS, context=context)
        self._server: Final = server
        self._tls: Final = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server)


def _code(content: bytes, status: int) -> str:
    try:
        return str(json.loads(content)["code"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"
