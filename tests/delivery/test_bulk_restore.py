"""After a restore no bulk retry goes on: what was stated of its providers may no longer be true."""

from __future__ import annotations

from gateway.backup.restore_fixups import bring_back
from gateway.delivery import bulk
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.transfer import lease as leases
from tests.delivery.posting import Post
from tests.delivery.test_bulk import BY, start, step, waiting


async def test_a_restore_ends_the_jobs(post: Post) -> None:
    await waiting(post, 2)
    job = start(post, unsent=True)
    with writing(post.engine) as connection:
        bulk.stop(connection, job.id, BY, post.clock[0])
        bring_back(connection, post.clock[0])
        bulk.resume(connection, job.id, BY, post.clock[0])
        lease = leases.take(connection, "keeper-2", post.clock[0], seconds=600)
    assert lease is not None
    post.lease = lease
    with post.engine.connect() as connection:
        found = jobs.find(connection, job.id)
    assert found is not None and found.state == jobs.DONE and step(post) == 0
