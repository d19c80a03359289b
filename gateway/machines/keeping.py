"""What the keeper of each machine does about machines, leading or not, every second.

1. It beats the row of its machine: when it was seen, its version, its clock, the generation of its keys.
2. It seals the keys for machines that handed in their public key and have none yet.
3. Keys that were changed here (rotated, an issuer renewed) become the next generation, sealed for each other machine,
   in one transaction that checks that nobody else made one.
4. Keys that were changed elsewhere are installed. The processes are replaced when every machine that runs has them: so
   whatever one of them signs, the others can verify.
5. On a machine that was removed it stops the supervisor.
Invariant: a generation is never installed twice, and no older one after a newer one (`keys/handed.json`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Engine, delete, select

from contracts.base.errors import Failure
from gateway import __version__
from gateway.journal import processes
from gateway.journal.database import insert, moment, writing
from gateway.journal.limits import unavailable
from gateway.journal.schema import tables
from gateway.journal.values import keep, locked_value_of, value_of
from gateway.keys.keyring import Keyring
from gateway.machines import agreeing, bundles, material, own, records
from gateway.machines.bundles import Bundle
from gateway.machines.own import Handed
from gateway.machines.records import Machine, State
from gateway.machines.secrets import Secrets
from gateway.settings import Settings

KEY: Final = "machines.keys"  # in `instance`: generation and digest of the shared keys
GRACE_SECONDS: Final = 60.0  # how long a machine waits for others before it takes up new keys
SECONDS: Final = 1.0
BEAT_SECONDS: Final = 5.0
_HAVE_KEYS: Final = (State.JOINING, State.ACTIVE, State.DRAINING)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """The newest shared keys of the instance, as the database knows them."""

    generation: int
    digest: str

    @classmethod
    def read(cls, connection: Connection) -> Shared:
        return cls._of(value_of(connection, KEY))

    @classmethod
    def _of(cls, text: str | None) -> Shared:
        if text is None:
            return cls(0, "")
        value = json.loads(text)
        return cls(int(value["generation"]), str(value["digest"]))

    def still_newest(self, connection: Connection) -> bool:
        """If so, no other machine makes a newer generation before this transaction ends."""
        return self._of(locked_value_of(connection, KEY)) == self

    def followed_by(self, connection: Connection, digest: str) -> Shared | None:
        """The next generation, written. None if another machine made one meanwhile."""
        if not self.still_newest(connection):
            return None
        after = Shared(self.generation + 1, digest)
        keep(connection, KEY, json.dumps({"generation": after.generation, "digest": after.digest}))
        return after


@dataclass(slots=True)
class MachineKeeper:
    """`reload` has the supervisor replace its processes; `end` stops it."""

    engine: Engine
    settings: Settings
    clock: Callable[[], float]
    reload: Callable[[], None]
    end: Callable[[], None]
    state: State = State.ACTIVE
    _secrets: Secrets = field(init=False)
    _name: str = field(init=False)
    _stamp: material.Stamp = ()
    _files: dict[str, bytes] = field(default_factory=dict, repr=False)
    _digest: str = ""
    _told: tuple[Handed, str | None] | None = None
    _beat_at: float = 0.0
    _installed_at: float | None = None  # keys were installed, and the processes do not use them yet

    def __post_init__(self) -> None:
        self._secrets, self._name = Secrets.of(self.settings), records.name_of(self.settings)

    @property
    def works(self) -> bool:
        """Whether this machine may lead."""
        return self.state not in (State.DRAINING, State.REMOVED)

    def tick(self) -> None:
        """May raise anything; it is called again."""
        with self.engine.connect() as connection:
            everyone = records.every(connection)
            shared = Shared.read(connection)
        me = next((each for each in everyone if each.name == self._name), None)
        if me is not None:
            self.state = me.state
        if self.state is State.REMOVED:
            _log.critical("this machine, %s, was removed from the instance: it stops", self._name)
            self.end()
            return
        if not self._read():
            return
        trouble = None
        handed = Handed.read(self.settings)
        if shared.digest == self._digest:
            if handed != (now_has := Handed(shared.generation, shared.digest)):
                now_has.write(self.settings)
                handed = now_has
            self._answer(shared, everyone)
        elif shared.generation <= handed.generation and handed.digest != self._digest:
            self._publish(shared, everyone)
            handed = Handed.read(self.settings)
        elif shared.generation > handed.generation:
            trouble = self._install(shared, handed)
            handed = Handed.read(self.settings)
        self._beat(handed, trouble)
        self._take_up(everyone, handed)

    def _read(self) -> bool:
        """Read the shared files, if they changed. False while somebody writes them."""
        stamp = material.stamp(self.settings)
        if stamp == self._stamp:
            return True
        try:
            self._files = material.collect(self.settings)
        except material.Torn:
            return False
        self._digest = self._secrets.digest(self._files)
        self._stamp = stamp if material.stamp(self.settings) == stamp else ()
        return bool(self._stamp)

    def _beat(self, handed: Handed, trouble: str | None) -> None:
        if (handed, trouble) == self._told and time.monotonic() < self._beat_at:
            return
        with writing(self.engine) as connection:
            at = moment(connection, self.clock)
            values = {"host": processes.host(), "version": __version__, "seen": at, "ahead": self.clock() - at}
            values |= {"generation": handed.generation, "trouble": trouble}
            records.change(connection, self._name, State.ACTIVE, State.DRAINING, **values)
        self._told, self._beat_at = (handed, trouble), time.monotonic() + BEAT_SECONDS

    # --- for others ---------------------------------------------------------------------------------------------------
    def _answer(self, shared: Shared, everyone: list[Machine]) -> None:
        """Seal for machines that have no keys yet, or older ones."""
        behind = [
            each
            for each in everyone
            if each.name != self._name and each.state in _HAVE_KEYS and each.generation < shared.generation
        ]
        if not behind:
            return
        table = tables.machine_bundle.c
        with writing(self.engine) as connection:
            if not shared.still_newest(connection):
                return
            waits = dict(connection.execute(select(table.machine, table.generation)).tuples().all())
            for each in behind:
                if waits.get(each.name) != shared.generation:
                    self._seal(connection, each, shared.generation, joining=each.generation == 0)

    def _publish(self, before: Shared, everyone: list[Machine]) -> None:
        """The keys of this machine become the next generation."""
        with writing(self.engine) as connection:
            after = before.followed_by(connection, self._digest)
            if after is None:
                return
            for each in everyone:
                if each.name != self._name and each.state in _HAVE_KEYS:
                    self._seal(connection, each, after.generation, joining=each.generation == 0)
        Handed(after.generation, after.digest).write(self.settings)
        _log.info("the shared keys are generation %d", after.generation)

    def _seal(self, connection: Connection, machine: Machine, generation: int, *, joining: bool) -> None:
        secret, key = self._secrets.of_machine(machine.name, machine.thumbprint), machine.public_key
        if key is None or not secret.proves(key, machine.proof or "") or records.was_removed(connection, machine.name):
            _log.critical("machine %s gets no keys: its public key is not proved, or it was removed", machine.name)
            return
        files = self._files | (material.seen(self.settings) if joining else {})
        bundle = Bundle(generation, files, agreeing.handed(self.settings))
        table, sealed = tables.machine_bundle, bundles.seal(bundle, key, secret)
        row = insert(connection, table).values(machine=machine.name, generation=generation, sealed=sealed)
        new = {"generation": generation, "sealed": sealed}
        connection.execute(row.on_conflict_do_update(index_elements=["machine"], set_=new))

    # --- from others --------------------------------------------------------------------------------------------------
    def _install(self, shared: Shared, handed: Handed) -> str | None:
        """The newest keys, if they are here. Returns why they are not installed."""
        if handed.digest and handed.digest != self._digest:
            _log.error("keys were changed here and elsewhere at once; those of generation %d stay", shared.generation)
        trouble = install_waiting(self.settings, self.engine, self._secrets, shared, handed)
        if trouble is None:
            self._stamp = ()
            self._installed_at = time.monotonic()
            _log.info("the shared keys of generation %d are installed", shared.generation)
        return trouble

    def _take_up(self, everyone: list[Machine], handed: Handed) -> None:
        """Replace the processes once every machine that runs has these keys."""
        if self._installed_at is None:
            return
        with self.engine.connect() as connection:
            runs = agreeing.running(connection, moment(connection, self.clock))
        late = [each.name for each in everyone if each.name in runs and each.generation < handed.generation]
        if set(late) - {self._name} and time.monotonic() - self._installed_at < GRACE_SECONDS:
            return
        self._installed_at = None
        self.reload()


def install_waiting(settings: Settings, engine: Engine, secrets: Secrets, shared: Shared, handed: Handed) -> str | None:
    """Install the keys that wait for this machine; returns why not, None if they are installed."""
    name, table = records.name_of(settings), tables.machine_bundle
    with engine.connect() as connection:
        me = records.find(connection, name)
        row = connection.execute(select(table.c.generation, table.c.sealed).where(table.c.machine == name)).first()
    if me is None or row is None:
        return "no keys wait for it"
    generation = int(row[0])
    if generation <= handed.generation or generation != shared.generation:
        return f"keys of generation {generation} wait for it"
    try:
        private = own.open_key(settings.keys, Keyring(settings).at_rest)
        secret = secrets.of_machine(name, me.thumbprint)
        bundle = bundles.unseal(str(row[1]), generation, private, secret)
        files = {path: content for path, content in bundle.files.items() if path not in material.SEEN}
        material.checked(settings, files)
        material.install(settings, files)
    except Failure as failure:
        return failure.code
    Handed(generation, secrets.digest(files)).write(settings)
    with writing(engine) as connection:
        connection.execute(delete(table).where(table.c.machine == name, table.c.generation == generation))
    return None


def wait_for_others(settings: Settings, engine: Engine, clock: Callable[[], float], seconds: float) -> list[str]:
    """After keys were changed here, and before they are used: wait until every machine that runs has them. So what is
    signed here is verified there. Returns the machines that have not."""
    name, until = records.name_of(settings), time.monotonic() + seconds
    digest = Secrets.of(settings).digest(material.collect(settings))
    while True:
        with engine.connect() as connection:
            shared, runs = Shared.read(connection), agreeing.running(connection, moment(connection, clock))
            everyone = [each for each in records.every(connection) if each.name in runs - {name}]
        if shared.digest == digest:
            everyone = [each for each in everyone if each.generation < shared.generation]
        if not everyone or time.monotonic() > until:
            return [each.name for each in everyone]
        time.sleep(0.2)


def catch_up(settings: Settings, engine: Engine) -> None:
    """Before the processes start: install what waits for this machine. What cannot be installed, its keeper names."""
    handed = Handed.read(settings)
    with engine.connect() as connection:
        shared = Shared.read(connection)
    if handed.generation < shared.generation:
        install_waiting(settings, engine, Secrets.of(settings), shared, handed)


class Rounds:
    """Calls `tick` each second, in a thread of its own."""

    def __init__(self, keeper: MachineKeeper) -> None:
        self._keeper: Final = keeper
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="keeper machines", daemon=True)
        self._failed = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(SECONDS * 10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._keeper.tick()
                self._failed = ""
            except Exception as error:
                what = str(error) if isinstance(error, Failure) else type(error).__name__
                if what != self._failed:  # once while it stays the same
                    away = unavailable(error) is not None or isinstance(error, Failure)
                    _log.error("what concerns machines is not done: %s", what, exc_info=not away)
                self._failed = what
            self._stopping.wait(SECONDS)
