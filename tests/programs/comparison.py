"""Programs written once, over a module `tf`, and run over real TensorFlow and over ours.

A program is a test function with the parameters `tf`, `directory` and `clock`, which returns what it observed by name.
`tf` is `tensorflow.compat.v1`, with its variables by reference as they were under TensorFlow 1, or
`cloudckpt.compat.v1`. A program with a parameter `later` is one that is started again: both modules take both parts,
and all four runs must observe the same.
"""

from __future__ import annotations

import importlib
import inspect
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudckpt import errors
from tests.programs.clock import Clock
from tests.programs.observations import Raised
from tests.tensorflow.conftest import require_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    Observations = dict[str, Any]

# TensorFlow's errors are those of its runtime, ours what a handler would catch; a builtin class of TensorFlow's must be
# a base of ours. NotFoundError is raised for a tensor and for a checkpoint; a variable that was not initialised fails a
# precondition there, and is a wrong argument of ours; damage is found by checksum or by a short file.
STANDS_FOR: Mapping[str, tuple[type[BaseException], ...]] = {
    "NotFoundError": (errors.TensorNotFoundError, errors.CheckpointNotFoundError),
    "InvalidArgumentError": (errors.InvalidArgumentError,),
    "FailedPreconditionError": (errors.InvalidArgumentError,),
    "DataLossError": (errors.CheckpointDamagedError,),
    "OutOfRangeError": (errors.CheckpointDamagedError,),
}


@dataclass(frozen=True)
class Departure:
    """An observation in which ours differs on purpose: what each side must then be, or a predicate of it."""

    reason: str
    theirs: Any
    ours: Any


def over_both(**departures: Departure) -> Callable[[Callable[..., Observations]], Callable[..., None]]:
    """Make a test of a program; observations not named as departures must agree."""

    def decorate(program: Callable[..., Observations]) -> Callable[..., None]:
        parameters = inspect.signature(program).parameters

        def test(both: Both, **arguments: Any) -> None:
            both.compare(program, arguments, departures, restarted="later" in parameters)

        own = [parameter for name, parameter in parameters.items() if name not in {"tf", "later", "directory", "clock"}]
        both = inspect.Parameter("both", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([both, *own])  # type: ignore[attr-defined]
        test.__name__, test.__doc__, test.__module__ = program.__name__, program.__doc__, program.__module__
        return test

    return decorate


class Both:
    """Runs programs over both modules, each time in a directory of its own and from the same moment on."""

    def __init__(self, folder: Path, start: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.theirs = require_tensorflow().compat.v1
        self.ours = importlib.import_module("cloudckpt.compat.v1")
        self._folder, self._start, self._monkeypatch = folder, start, monkeypatch

    def compare(
        self,
        program: Callable[..., Observations],
        arguments: Mapping[str, Any],
        departures: Mapping[str, Departure],
        *,
        restarted: bool,
    ) -> None:
        """Run the program over each module, and once more over each for the part that comes later."""
        runs = {"theirs": (self.theirs,), "ours": (self.ours,)}
        if restarted:
            runs = {
                f"{first}, then {second}": (getattr(self, first), getattr(self, second))
                for first in ("theirs", "ours")
                for second in ("theirs", "ours")
            }
        (_, expected), *others = [(name, self._run(program, modules, arguments)) for name, modules in runs.items()]
        for name, observed in others:
            assert_alike(expected, observed, departures if name.endswith("ours") else {}, name)

    def _run(
        self, program: Callable[..., Observations], modules: tuple[Any, ...], arguments: Mapping[str, Any]
    ) -> Observations:
        directory = self._folder / f"run{len(list(self._folder.iterdir()))}"
        directory.mkdir()
        roles = dict(zip(("tf", "later"), modules, strict=False))
        with self._monkeypatch.context() as patch, by_reference(self.theirs):
            patch.chdir(directory)
            observed = program(**roles, directory=directory, clock=Clock(self._start, patch), **arguments)
        return {name: without_place(value, str(directory)) for name, value in observed.items()}


@contextmanager
def by_reference(tensorflow: Any) -> Iterator[None]:
    """TensorFlow's graphs get the variables of TensorFlow 1, whose value `sess.run("w:0")` gives."""
    tensorflow.disable_resource_variables()
    try:
        yield
    finally:
        tensorflow.enable_resource_variables()


def without_place(value: Any, directory: str) -> Any:
    """The observation with the run's own directory written as DIRECTORY, and arrays as lists."""
    if isinstance(value, str):
        return value.replace(directory, "DIRECTORY")
    if isinstance(value, bytes):
        return without_place(value.decode(errors="backslashreplace"), directory)
    if isinstance(value, dict):
        return {without_place(key, directory): without_place(item, directory) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_place(item, directory) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    assert value is None or isinstance(value, bool | int | float) or is_dataclass(value), f"can't compare {value!r}"
    return value


def assert_alike(theirs: Observations, ours: Observations, departures: Mapping[str, Departure], run: str) -> None:
    """Each observation agrees, or departs as it says."""
    assert theirs.keys() == ours.keys()
    assert departures.keys() <= theirs.keys()
    for name, expected in theirs.items():
        if departure := departures.get(name):
            assert is_as_said(expected, departure.theirs), f"{name} of TensorFlow is {expected!r}"
            assert is_as_said(ours[name], departure.ours), f"{name} of {run} is {ours[name]!r}: {departure.reason}"
            assert not alike(expected, ours[name]), f"{name} is no departure: {expected!r}"
        else:
            assert alike(expected, ours[name]), f"{name}: TensorFlow {expected!r}, {run} {ours[name]!r}"


def is_as_said(observed: Any, said: Any) -> bool:
    """Whether an observation is that value, is that error, or passes that predicate."""
    if isinstance(said, type):
        return isinstance(observed, Raised) and issubclass(observed.error, said)
    return bool(said(observed)) if callable(said) else bool(observed == said)


def alike(theirs: Any, ours: Any) -> bool:
    """Whether two observations are the same, errors by what they stand for."""
    if isinstance(theirs, Raised):
        stand_in = STANDS_FOR.get(theirs.error.__name__, (theirs.error,))
        return isinstance(ours, Raised) and issubclass(ours.error, (theirs.error, *stand_in))
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return theirs.keys() == ours.keys() and all(alike(theirs[key], ours[key]) for key in theirs)
    if isinstance(theirs, list) and isinstance(ours, list):
        return len(theirs) == len(ours) and all(map(alike, theirs, ours))
    return type(theirs) is type(ours) and bool(theirs == ours)
