"""Every failure that this room can raise, with its words in Vietnamese and English.

Each says what is wrong, where, why it matters, and what to do next. Facts that stand in both texts are names and
numbers of the wire (`Signature-Input`, `ds:Reference`), never prose, so that one fact fits both languages.
Invariant: no code is raised in `security/` that does not stand here; importing `security` registers them all.
"""

from __future__ import annotations

from contracts.base.errors import register
from security.failures.access import ACCESS
from security.failures.approvals import APPROVAL
from security.failures.encryption import ENCRYPTION
from security.failures.signature import SIGNATURE
from security.failures.store import STORE
from security.failures.tokens import TOKEN

register(SIGNATURE + TOKEN + ENCRYPTION + ACCESS + APPROVAL + STORE)
