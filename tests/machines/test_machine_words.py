"""What `lgsp machine` says of a machine: its state, what its drain does to callers, which keys are to be replaced."""

from __future__ import annotations

from gateway.journal.database import writing
from gateway.machines import records
from gateway.machines.records import State
from gateway.settings.saving import save
from tests import commandline
from tests.machines.test_joining import House, house, newcomer  # noqa: F401  a fixture


def test_the_state_of_a_machine_is_told_in_both_languages(house: House) -> None:  # noqa: F811
    name = newcomer(house).invitation.machine
    save(house.settings)

    def told(act: str, *more: str) -> str:
        ended = commandline.lgsp("machine", act, *more, "--data", str(house.settings.data))
        assert ended.code == 0, ended
        return ended.out

    why = ("--reason", "tried in a test")
    listed = told("list")
    assert "invited / đã mời" in listed and "keys / khóa 0" in listed
    gone = told("remove", newcomer(house).invitation.machine, *why)
    assert "It had no keys yet" in gone and "chưa có khóa" in gone and "Replace" not in gone, gone
    with writing(house.engine) as connection:
        records.change(connection, name, State.INVITED, state=State.ACTIVE)
    assert told("drain", name, *why) == f"{name}: draining / đang rút khỏi phục vụ\n"
    assert "draining / đang rút khỏi phục vụ" in told("list")
    alone = told("drain", house.settings.machine, *why)
    assert "all callers get 503" in alone and "mọi lời gọi nhận 503" in alone, alone
    told("drain", house.settings.machine, "--end", *why)
    assert told("drain", name, "--end", *why) == f"{name}: active / đang phục vụ\n"
    gone = told("remove", name, *why)
    assert gone.startswith(f"{name}: removed / đã xóa\n") and gone.index("ca renew sign") < gone.index("keys rotate")
