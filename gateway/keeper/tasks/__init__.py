"""The keeper's periodic tasks: each module here declares one, as its `TASK` (`gateway.keeper.periodic`)."""
