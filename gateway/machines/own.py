"""This machine: its own key, what keys of the instance it has, its row, its state while it runs.

keys/machine.key   bundles are sealed for it          keys/handed.json   generation and digest of the shared keys
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway import __version__
from gateway.durable import sync_folder, write_new
from gateway.journal import processes
from gateway.journal.database import moment, writing
from gateway.journal.limits import unavailable
from gateway.keys.key_encryption import AtRest, replace_secret
from gateway.machines import agreeing, records
from gateway.machines.errors import MACHINE_NAME_TAKEN, MACHINE_REMOVED
from gateway.machines.records import State
from gateway.machines.secrets import Secrets
from gateway.settings import Settings
from security.pki.authority import private_pem

KEY: Final = "machine.key"
HANDED: Final = "handed.json"
LOOK_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Handed:
    """The shared keys that this machine last had in common with the others."""

    generation: int
    digest: str

    @classmethod
    def read(cls, settings: Settings) -> Handed:
        """Generation 0 where there are none."""
        try:
            value = json.loads((settings.keys / HANDED).read_text("ascii"))
            return cls(int(value["generation"]), str(value["digest"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return cls(0, "")

    def write(self, settings: Settings) -> None:
        content = json.dumps({"generation": self.generation, "digest": self.digest})
        replace_secret(settings.keys / HANDED, content.encode("ascii"))


def make_key(folder: Path, at_rest: AtRest) -> ec.EllipticCurvePrivateKey:
    """The machine's key in this folder, made if it is not there."""
    file = folder / KEY
    if not file.exists():
        write_new(file, private_pem(ec.generate_private_key(ec.SECP256R1()), at_rest.password))
        sync_folder(folder)
    return open_key(folder, at_rest)


def open_key(folder: Path, at_rest: AtRest) -> ec.EllipticCurvePrivateKey:
    key = at_rest.private(folder / KEY, load_pem_private_key)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{folder / KEY} is no key on P-256")
    return key


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )


def take_place(settings: Settings, engine: Engine, clock: Callable[[], float]) -> None:
    """Before the processes start: the row of this machine. The first machine of an instance gets one.

    Raises `machine.removed`, `machine.name-taken`, and `instance.settings-differ` (`agreeing`).
    """
    name, key = records.name_of(settings), public_pem(make_key(settings.keys, AtRest.of(settings)))
    secrets = Secrets.of(settings)
    with writing(engine) as connection:
        now = moment(connection, clock)
        found = records.find(connection, name)
        if found is None:
            proof = secrets.of_machine(name, "").proof_of(key)
            values = {"thumbprint": "", "public_key": key, "proof": proof, "added": now, "actor": "gateway"}
            records.add(connection, name, state=State.ACTIVE, **values)
            records.note(connection, "register", name, clock(), "gateway", key=records.key_digest(key))
        elif found.state is State.REMOVED or records.was_removed(connection, name):
            raise _removed(name, found.reason)
        elif found.public_key != key:
            if found.state in (State.INVITED, State.JOINING) or name in agreeing.running(connection, now):
                raise MACHINE_NAME_TAKEN(name=name)
            proof = secrets.of_machine(name, found.thumbprint).proof_of(key)  # restored, or made anew on this host
            records.change(connection, name, State.ACTIVE, State.DRAINING, public_key=key, proof=proof)
            records.note(connection, "key", name, clock(), "gateway", key=records.key_digest(key))
        agreeing.check(connection, settings, name, now)
        here = {"host": processes.host(), "version": __version__, "seen": now, "ahead": clock() - now}
        records.change(connection, name, *(State.ACTIVE, State.DRAINING), **here)
        records.change(connection, name, State.JOINING, state=State.ACTIVE, **here)


def removed(settings: Settings, engine: Engine) -> Failure | None:
    """`machine.removed`, if this machine was; None if not, or while the database does not say."""
    name = records.name_of(settings)
    try:
        with engine.connect() as connection:
            found = records.find(connection, name)
    except SQLAlchemyError:
        return None
    return _removed(name, found.reason) if found and found.state is State.REMOVED else None


def _removed(name: str, reason: str | None) -> Failure:
    """The reason is a person's: the same in both languages, where a text would be turned as a phrase of ours."""
    return MACHINE_REMOVED(name=name, reason=Words(reason or "–", reason or "–"))


class StateWatch:
    """The state of this machine, read each second in a thread of its own; as last known while the database is away."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.name: Final = records.name_of(settings)
        self.state = State.ACTIVE
        self._engine: Final = engine
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="machine state", daemon=True)

    def start(self) -> None:
        """Raises `machine.removed`."""
        if self.look() is State.REMOVED:
            raise MACHINE_REMOVED(name=self.name, reason="–")
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def look(self) -> State:
        """Reads it now."""
        with self._engine.connect() as connection:
            self.state = records.state_of(connection, self.name) or State.ACTIVE
        return self.state

    @property
    def works(self) -> bool:
        """Whether this machine takes new work."""
        return self.state not in (State.DRAINING, State.REMOVED)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # as last known
                if unavailable(error) is None:
                    _log.error("the state of this machine cannot be read: %s", type(error).__name__)
                time.sleep(LOOK_SECONDS)
