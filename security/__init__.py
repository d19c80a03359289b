"""Who, and proof: keys, signatures, tokens, grants, the Merkle log. Decisions and arithmetic only; no network, no store, no clock."""

from security import failures as _failures

__all__: list[str] = []
del _failures
