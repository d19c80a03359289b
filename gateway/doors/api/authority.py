"""Serves the embedded authority's revocation lists (RFC 5280 §5, RFC 2585), signed by the keeper.

Invariant: a door holds no key of an authority.
"""

from __future__ import annotations

from sqlalchemy import Engine, select

from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.document_addresses import read_on
from gateway.doors.errors import ADDRESS_UNKNOWN
from gateway.doors.reply import Reply
from gateway.journal.schema import tables

_MEDIA = {"content-type": "application/pkix-crl", "cache-control": "public, max-age=60"}


async def read_revocation_list(services: Services, request: ApiRequest) -> Reply:
    crl = await services.readers.run(request.owner, _stored, services.engine, request.params["issuer"])
    if crl is None:
        raise ADDRESS_UNKNOWN(method="GET", path=request.received.path, catalogue=read_on(services.settings))
    return Reply(200, dict(_MEDIA), crl)


def _stored(engine: Engine, issuer: str) -> bytes | None:
    table = tables.revocation_list.c
    with engine.connect() as connection:
        crl: bytes | None = connection.scalar(select(table.crl).where(table.issuer == issuer))
        return crl
