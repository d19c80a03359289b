"""What systems drop into their folders, taken up by a process of its own."""
