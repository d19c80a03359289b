"""Identity folders of component systems: keys, certificates, enrolment."""
