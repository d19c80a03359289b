"""Stands watch over component systems (articles 10.2, 10.3 and 13.4 of the regulation).

probing      looks whether each system takes connections
probes       counts the probes by system and day
conditions   what else is wrong: messages that wait for long, certificates that end
conforming   whose calls and answers no longer keep contract and wire profile
late         which systems owe data: due soon, or late
alarms       what is wrong, since when, and who has taken notice
watching     raises and ends alarms
telling      tells the contacts of systems
"""
