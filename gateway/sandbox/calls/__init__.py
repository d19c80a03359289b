"""A vendor's own calls in a sandbox: what was checked, why one was refused, what was answered."""
