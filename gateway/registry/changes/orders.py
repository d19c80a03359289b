"""Seals what people at the desk order from the keeper, since the keeper has keys that the desk lacks.

An order is a job (`gateway.journal.jobs`) with `order` and `seal` in its facts. The seal is HMAC-SHA-256 over the job's
id, kind, subject, actor, reason, time and order. Its key is derived from the instance's hash key, which is in a file.
Invariant: who can only write to the database gives no order.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection

from contracts.base import jcs
from gateway.journal import jobs
from gateway.journal.jobs import Job
from gateway.registry.errors import REGISTRY_ORDER_ALTERED

_LABEL: Final = b"lgsp keeper order v1"


class Orders:
    """Has the derived key only."""

    def __init__(self, secret: bytes) -> None:
        self._key: Final = HKDF(SHA256(), 32, None, _LABEL).derive(secret)

    def give(
        self,
        connection: Connection,
        of: tuple[str, str],
        order: Mapping[str, Any],
        by: tuple[str, str],
        now: float,
        **facts: Any,
    ) -> Job:
        """Stores a sealed order. `of` is kind and subject, `by` who and why; `facts` are beside it, under no seal."""
        job = jobs.add(connection, *of, by, now, **facts)
        sealed: dict[str, Any] = {"order": dict(order), "seal": self._tag(replace(job, facts={"order": order}))}
        jobs.change(connection, job, now, **sealed)
        return replace(job, facts=jobs.Facts({**facts, **sealed}))

    def read(self, job: Job) -> Mapping[str, Any]:
        """The order. Raises `registry.order-altered`."""
        seal, order = job.facts.get("seal"), job.facts.get("order")
        try:
            right = isinstance(seal, str) and hmac.compare_digest(seal.encode(), self._tag(job).encode())
        except (KeyError, TypeError, ValueError):  # what no desk writes
            right = False
        if not right or not isinstance(order, dict):
            raise REGISTRY_ORDER_ALTERED(job=job.id)
        return order

    def _tag(self, job: Job) -> str:
        whole = [job.id, job.kind, job.subject, job.actor, job.reason, round(job.created * 1000), job.facts["order"]]
        return hmac.digest(self._key, jcs.encode(whole), hashlib.sha256).hex()
