"""What an instance is, kept in its database: the log's name and key, and the authority. Compared at each start.

So a folder that belongs to another instance, or a new one, does not serve a database that has one already: that would
be a second authority and a second log key over the same rows.
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, Engine, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import INSTANCE_DATABASE_TAKEN, INSTANCE_OTHER
from gateway.journal.database import fits, newest_revision, open_engine, revision, writing
from gateway.journal.errors import JOURNAL_SCHEMA
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.settings import Settings

KEY: Final = "identity"  # in `instance`
_table = tables.instance


def of(settings: Settings) -> dict[str, str]:
    """The origin, and digests of the log's public key and of the authority's root certificate (hex SHA-256).

    Read from the files alone, without what signs and without the secret: each command does this.
    """
    vkey = (settings.data / "log" / "log.vkey").read_bytes().strip()
    found = {"origin": settings.origin, "log": hashlib.sha256(vkey).hexdigest()}
    with suppress(FileNotFoundError):  # an authority that is kept elsewhere
        found["authority"] = hashlib.sha256(_der((settings.authority / "root.crt").read_bytes())).hexdigest()
    return found


def _der(pem: bytes) -> bytes:
    """Of the first certificate (RFC 7468); what is none stays as it is, and so differs."""
    body = pem.partition(b"-----BEGIN CERTIFICATE-----")[2].partition(b"-----END CERTIFICATE-----")[0]
    try:
        return base64.b64decode(body) or pem
    except ValueError:
        return pem


def record(connection: Connection, settings: Settings) -> None:
    """Within a writing transaction: of a new instance, and of a restored one."""
    value = json.dumps(of(settings), sort_keys=True)
    keep(connection, KEY, value)


def differing(connection: Connection, settings: Settings) -> tuple[list[str], str]:
    """In what the folder differs from the database's instance, and that one's origin. FileNotFoundError without the
    log's key; nothing differs from a database of an older release, which has no record."""
    text = value_of(connection, KEY)
    if text is None:
        return [], settings.origin
    known = json.loads(text)
    return [name for name, value in of(settings).items() if known.get(name, value) != value], known.get("origin", "?")


def check(engine: Engine, settings: Settings) -> None:
    """Raises `instance.other` if the database is of another instance. One of an older release is recorded first."""
    with writing(engine) as connection:
        if value_of(connection, KEY) is None:
            record(connection, settings)
            return
        wrong, origin = differing(connection, settings)
    _refuse(wrong, settings, origin)


def check_for_command(settings: Settings, *, writes: bool) -> None:
    """Raises `instance.other` before a command judges rows by keys of another instance, or seals them with such keys;
    and `journal.schema` before one that writes does half of it on the tables of another release.

    Where the database does not answer, or the files may not be read, nothing is raised: the command says so itself.
    """
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            wrong, origin = differing(connection, settings)
            found = revision(connection)
            if writes and found is not None and not fits(connection):
                raise JOURNAL_SCHEMA(found=found, expected=newest_revision())
    except (OSError, SQLAlchemyError):
        return
    finally:
        engine.dispose()
    _refuse(wrong, settings, origin)


def _refuse(wrong: list[str], settings: Settings, origin: str) -> None:
    if wrong:
        raise INSTANCE_OTHER(what=", ".join(wrong), data=settings.data, origin=origin)


def check_free(engine: Engine) -> None:
    """Before a new instance is made. Raises `instance.database-taken` for a database that has one."""
    if not inspect(engine).has_table(_table.name):
        return
    with engine.connect() as connection:
        if connection.execute(select(_table.c.key).limit(1)).first() is not None:
            raise INSTANCE_DATABASE_TAKEN(database=engine.url.render_as_string(hide_password=True))
