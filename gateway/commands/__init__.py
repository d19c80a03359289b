"""What the commands of `lgsp` do, one file a group. `gateway.cli` only reads their arguments."""
