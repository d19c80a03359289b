"""Notices by e-mail to the contacts of systems (article 12.3 of the regulation)."""
