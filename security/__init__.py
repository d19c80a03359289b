"""Keys, signatures, tokens, grants, the Merkle log: pure decisions and arithmetic, without network, store or clock."""
