"""Stands watch over component systems (articles 10.2, 10.3 and 13.4 of the regulation).

probing    looks whether each system takes connections
probes     counts the probes by system and day
"""
