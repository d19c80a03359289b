"""What the vault keeps no longer: retention that destroys keys, and legal holds that outlive it."""
