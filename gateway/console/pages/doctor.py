"""What the doctor finds, and the last backup."""

from __future__ import annotations

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import upkeep


def doctor(ask: Ask) -> Shown:
    return Shown("doctor.html", {"it": upkeep.upkeep(ask.desk)})


PAGES = (Page("/doctor", doctor, May.OPERATE, N_("Doctor and backups"), Menu.OPERATION),)
