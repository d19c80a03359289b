"""One transfer: states, stages, entries in the audit log, outcome, and the lease of the leading keeper."""
