"""Reads files that systems drop into their folders, in a process of its own."""
