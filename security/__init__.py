"""Who, and proof: keys, signatures, tokens, grants, the Merkle log. Decisions and arithmetic only; no network, no store, no clock."""
