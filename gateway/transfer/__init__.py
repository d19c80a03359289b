"""One transfer: its states, its stages, its entries in the audit log, how it ends, and the lease of whoever leads."""
