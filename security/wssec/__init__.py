"""WS-Security 1.1 with the X.509 token profile, in the profile of docs/wire.md."""
