"""What a program can see of a saver's work: files, the state file's text, values, and the classes of errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Raised:
    """An exception in place of a value; alike are classes that stand for each other."""

    error: type[BaseException]

    def __repr__(self) -> str:
        return f"{self.error.__module__}.{self.error.__qualname__} raised"


def outcome(call: Callable[[], Any]) -> Any:
    """What the call returned or raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - which one it is, is what is compared
        return Raised(type(error))


def files(directory: Path | str, pattern: str = "*") -> list[str]:
    """The files below a directory."""
    found = Path(directory).rglob(pattern)
    return sorted(str(path.relative_to(directory)) for path in found if path.is_file())


def state(directory: Path | str, name: str = "checkpoint") -> str | None:
    """The text of the state file."""
    path = Path(directory) / name
    return path.read_text() if path.exists() else None


def values(session: Any, *variables: Any) -> list[Any]:
    """The session's values of variables as lists."""
    return [np.asarray(session.run(variable)).tolist() for variable in variables]


def stored(tf: Any, prefix: str) -> dict[str, Any]:
    """Everything that a checkpoint holds, by name."""
    return {
        name: np.asarray(tf.train.load_variable(prefix, name)).tolist() for name, _ in tf.train.list_variables(prefix)
    }
