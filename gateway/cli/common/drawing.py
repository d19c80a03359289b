"""Progress bars on a terminal, by rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn


class _Drawn:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def add_task(self, description: str, total: float | None = None) -> int:
        return self._bars.add_task(description, total=total)

    def update(
        self, task: int, *, completed: float | None = None, total: float | None = None, description: str | None = None
    ) -> None:
        from rich.progress import TaskID

        self._bars.update(TaskID(task), completed=completed, total=total, description=description)


@contextmanager
def drawn(bar: Literal["count", "share"] | None) -> Iterator[_Drawn]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bars

    columns: list[ProgressColumn] = [TextColumn("{task.description}")]
    if bar is not None:
        columns += [BarColumn(), MofNCompleteColumn() if bar == "count" else TaskProgressColumn()]
    with Bars(*columns, transient=True, console=Console(stderr=True), redirect_stdout=False) as bars:
        yield _Drawn(bars)
