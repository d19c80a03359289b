"""What pages and operations of the desk share: services, accounts, and who signs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.console.accounts import secrets, sessions
from gateway.console.accounts.attempts import Attempts
from gateway.console.accounts.passkeys import Site
from gateway.console.accounts.provider import Provider
from gateway.console.accounts.records import Viewer
from gateway.console.accounts.signing_in import SignIn
from gateway.console.site.live import Hub
from gateway.console.site.page import Beside
from gateway.console.work.feed_readers import Kept
from gateway.console.work.feeds import Following
from gateway.doors.api.reading import Readers
from gateway.doors.api.services import DeskServices
from gateway.doors.health import Vitals
from gateway.exchange.quotas import OF_DESK, VendorLimits
from gateway.journal import alone, log_checks
from gateway.journal.alone import Alone
from gateway.journal.database import snapshot, writing
from gateway.journal.log_checks import Verdict
from gateway.keys.keyring import Keyring
from gateway.registry.seals import account_rows
from gateway.registry.seals.account_rows import Change, SealedRows
from gateway.registry.seals.accounts import Seal
from gateway.registry.tenants import is_tenant


class Alarms(NamedTuple):
    """`log`: the last verification of the log, if it found something wrong. `alone`: a person let the instance go on
    without a synchronous standby."""

    log: Verdict | None = None
    alone: Alone | None = None


@dataclass(frozen=True)
class Desk:
    services: DeskServices
    vitals: Vitals
    attempts: Attempts = field(default_factory=Attempts)
    # Passwords are costly: two threads, so that a flood of attempts leaves pages their processor.
    hashing: Readers = field(default_factory=lambda: Readers(threads=2, each=2))
    live: Hub = field(default_factory=Hub)
    reader_counts: Kept = field(default_factory=Kept)
    beside: Beside | None = None

    @cached_property
    def hash_key(self) -> bytes:
        """Of message ids in the log. It is read when it is first needed."""
        return Keyring(self.services.settings).hash_key()

    @cached_property
    def sealer(self) -> secrets.Sealer:
        return secrets.Sealer(self.hash_key)

    @cached_property
    def feeds(self) -> Following:
        """The readings of feeds by people."""
        services = self.services
        return Following(
            services.engine, services.registry, services.readers, services.settings, lambda: services.clock()
        )

    @cached_property
    def seal(self) -> Seal:
        """Of the rows by which people sign in."""
        return Seal.of(self.services.settings)

    def passkeys(self, origin: str) -> Site:
        """What passkeys need to know of the address at which somebody is."""
        return Site(origin, self.hash_key)

    @cached_property
    def provider(self) -> Provider | None:
        """By which people sign in too, if the settings name one."""
        settings = self.services.settings
        return Provider(settings) if settings.oidc_issuer else None

    def now(self) -> float:
        return self.services.clock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the database."""
        with snapshot(self.services.engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction for notes. Changes of the registry and of accounts have their own."""
        with writing(self.services.engine) as connection:
            yield connection

    @contextmanager
    def accounts(self) -> Iterator[SealedRows]:
        """One moment of the rows by which people sign in."""
        with account_rows.reading(self.services.engine, self.seal) as rows:
            yield rows

    @contextmanager
    def changing(self, viewer: Viewer) -> Iterator[Change]:
        """A transaction that changes these rows."""
        engine, by_token = self.services.engine, viewer.how == "token"
        with account_rows.changing(engine, self.seal, self.now(), viewer.actor, by_token=by_token) as change:
            yield change

    def alarms(self) -> Alarms:
        """What every page of a signed-in person says before anything else."""
        try:
            with self.reading() as connection:
                found, decided = log_checks.verdict(connection), alone.standing(connection)
        except SQLAlchemyError:  # a page that says why the database fails still has to be shown
            return Alarms()
        return Alarms(None if found is None or found.ok else found, decided)

    def follow(self) -> None:
        """After a change of the registry: whoever made it reads it next."""
        with self.reading() as connection:
            self.services.registry.refresh(connection)

    def spend(self, viewer: Viewer) -> None:
        """Counts what a tenant of a sandbox does here. Raises `sandbox.quota`."""
        if is_tenant(viewer.account.agency):
            with self.writing() as connection:
                limits = VendorLimits.of(self.services.settings)
                limits.spend(connection, viewer.account.agency, self.now(), OF_DESK)

    def sign_in(self, source: str) -> SignIn:
        return SignIn(self.services.engine, self.seal, self.sealer, self.attempts, source, self.now())

    def viewer(self, token: str, *, touch: bool = True) -> Viewer | None:
        """Who has this session. `touch`: he is here, and not only his page."""
        if not token:
            return None
        with self.accounts() as rows:
            found = sessions.viewer_of(rows, token, self.now())
        if found is None:
            return None
        viewer, stale = found
        if stale and touch:
            with self.writing() as connection:
                sessions.touch(connection, token, self.now())
        return viewer
