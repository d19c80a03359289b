"""Has checkpoints cosigned by witnesses and stamped by a time-stamp authority, and tracks what that covers."""
