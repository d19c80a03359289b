"""Drills: what an instance would lose, and how long it would take, tried without touching it.

places       where a restore drill works, and how everything of it goes, also after kill -9
failover     the failover drill: real traffic, a process that is ended, what was lost and how long it took
restoring    the restore drill: restores a backup beside the instance, verifies it, measures, removes it
"""
