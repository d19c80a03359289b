"""The keeper's rounds to those outside who vouch for the log: witnesses that cosign its checkpoints, an authority that time-stamps them."""
