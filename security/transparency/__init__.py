"""The transparency log: entries, Merkle tree, tiles, checkpoints, cosignatures."""
