"""The audit log as a client sees it: proofs, checkpoints, reconciliation."""
