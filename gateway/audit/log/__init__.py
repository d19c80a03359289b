"""The audit log: sequencer, tiles, checkpoints, lease."""
