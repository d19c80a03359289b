"""What programs that watch the gateway are told: counts and times, traces, lines of the process log."""
