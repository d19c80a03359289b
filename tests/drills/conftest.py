"""Restore drills are of the instances that backups are of."""

from tests.backup.conftest import base as base
from tests.backup.conftest import lite as lite
from tests.backup.conftest import one as one
