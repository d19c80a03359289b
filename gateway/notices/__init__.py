"""Notices by e-mail to the contacts of systems and agencies (article 12.3 of the regulation)."""
