"""Makes the certificate of the people's listener by the embedded authority, where the settings ask for it.

`lgsp up` does it before any process starts. So the desk never holds the authority's key.
"""

from __future__ import annotations

from sqlalchemy import Engine

from gateway.doors.http import desk_transport
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.keys.keyring import DESK, Keyring, hosts_of, next_generation, prepare
from gateway.settings import Settings
from gateway.transfer import entries


def ensure(settings: Settings, engine: Engine, now: float) -> str | None:
    """The id of a new key; None if there is one for the host name."""
    if settings.desk_tls != "embedded":
        return None
    keyring, hosts = Keyring(settings), desk_transport.host_names(settings)
    if not keyring.generations(DESK):
        made = prepare(keyring, DESK, 1, now, hosts)
    elif set(hosts) <= set(hosts_of(keyring.current(DESK).pem())):
        return None
    else:
        made = next_generation(keyring, DESK, now, hosts=hosts)
    with writing(engine) as connection:
        note = entries.note("keys", {"rotated": [made.generation.key_id], "withdrawn": False}, now, actor="gateway")
        append(connection, [note])
    made.put()
    return made.generation.key_id
