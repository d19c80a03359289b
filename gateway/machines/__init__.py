"""Several machines of one instance: how one joins, gets the keys, is drained and removed."""
