"""Errors of the registry."""

from __future__ import annotations

from contracts.base.errors import Errors, Theirs
from contracts.base.words import WordsFile

_errors = Errors(__file__)

ACCOUNTS_ALTERED = _errors.ours("accounts.altered", 503)
ACCOUNTS_BY_TOKEN = _errors.policy("accounts.by-token", 403)
ACT_NO_PERSON = _errors.policy("act.no-person", 403)
ACT_NO_ROLE = _errors.policy("act.no-role", 403)
ACT_NOT_IN_OFFICE = _errors.policy("act.not-in-office", 403)
APPROVAL_GIVEN_UP = _errors.theirs("approval.given-up", 409)
CHANNEL_SUSPENDED = _errors.policy("channel.suspended", 403)
CONTRACT_BREAKING = _errors.theirs("contract.breaking", 409)
CONTRACT_DISCLOSES = _errors.theirs("contract.discloses", 409)
CONTRACT_NOT_HIDDEN = _errors.theirs("contract.not-hidden", 409)
CONTRACT_NO_OLDER = _errors.theirs("contract.no-older", 409)
CONTRACT_OLDER_RUNS = _errors.theirs("contract.older-runs", 409)
CONTRACT_PINNED = _errors.theirs("contract.pinned", 409)
CONTRACT_SMALL_STEP = _errors.theirs("contract.small-step", 409)
CONTRACT_VERSION_LOW = _errors.theirs("contract.version-low", 409)
CONTRACT_VERSION_TAKEN = _errors.theirs("contract.version-taken", 409)
GRANT_MASK_UNSHOWN = _errors.theirs("grant.mask-unshown", 422)
GRANT_REVOKED = _errors.theirs("grant.revoked", 409)
GRANT_STANDS = _errors.theirs("grant.stands", 409)
OFFICER_KEY_TAKEN = _errors.theirs("officer.key-taken", 409)
OFFICER_OTHER_KEY = _errors.theirs("officer.other-key", 409)
OFFICER_PASSKEY_ORIGIN = _errors.theirs("officer.passkey-origin", 409)
PROPOSAL_OUTDATED = _errors.theirs("proposal.outdated", 409)
REGISTRY_ALTERED = _errors.ours("registry.altered", 503)
REGISTRY_CONTACT_DUTY = _errors.policy("registry.contact-duty", 409)
REGISTRY_INVALID = _errors.theirs("registry.invalid", 422)
REGISTRY_KEY_REVOKED = _errors.theirs("registry.key-revoked", 409)
REGISTRY_KEY_TAKEN = _errors.theirs("registry.key-taken", 409)
REGISTRY_NO_CONTACT = _errors.policy("registry.no-contact", 409)
REGISTRY_NO_HISTORY = _errors.theirs("registry.no-history", 404)
REGISTRY_ORDER_ALTERED = _errors.policy("registry.order-altered", 403)
REGISTRY_ORDER_LATE = _errors.theirs("registry.order-late", 409)
REGISTRY_PAST_LOST = _errors.theirs("registry.past-lost", 404)
REGISTRY_POLICY = _errors.ours("registry.policy", 503)
REGISTRY_POLICY_SCOPE = _errors.policy("registry.policy-scope", 403)
REGISTRY_REQUEST_HOST = _errors.policy("registry.request-host", 403)
REGISTRY_REQUEST_SYSTEM = _errors.policy("registry.request-system", 403)
REGISTRY_STALE = _errors.ours("registry.stale", 503)
REGISTRY_SUSPENDED_LONGER = _errors.theirs("registry.suspended-longer", 409)
REGISTRY_UNKNOWN = _errors.theirs("registry.unknown", 404)
REVIEW_OTHER = _errors.theirs("review.other", 409)
ROUTE_MASK_UNSHOWN = _errors.ours("route.mask-unshown", 503)
ROUTE_NOT_GRANTED = _errors.ours("route.not-granted", 503)
SOURCE_OTHER = _errors.policy("source.other", 403)
SOURCE_TAKEN = _errors.theirs("source.taken", 409)

words = WordsFile(__file__)


def unknown(what: str, id: str) -> Theirs:
    """Nothing of that kind has this id."""
    return REGISTRY_UNKNOWN(what=words(what), id=id)
