"""What a subject found: tables, and figures beside what was aimed at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Goal", "Report", "goals_table"]


class Goal(NamedTuple):
    """One figure that should be reached."""

    what: str
    at_least: str
    aim: str
    found: str


@dataclass
class Report:
    """What one subject prints."""

    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)


def goals_table(goals: Sequence[Goal]) -> Table:
    """A row for each goal; ratios are the other's time by ours."""
    table = Table("goal", title="Goals", title_justify="left")
    for column in ("at least", "aim", "found"):
        table.add_column(column, justify="right")
    for goal in goals:
        table.add_row(*goal)
    return table
