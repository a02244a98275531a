"""`train.CheckpointManager` and real TensorFlow's side by side: the same programs, and all that can be seen of them."""

from __future__ import annotations

import inspect
import tempfile
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudckpt.manager.train.train_checkpoint_manager import CheckpointManager
from cloudckpt.state.state_file import CheckpointState, encode_state
from cloudckpt.variables.variable import Variable
from tests.manager.counted import Counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOUR = 3600.0
START = 1_700_000_000.0


def indexes(folder: Path) -> list[str]:
    """Data files have other names where a number is saved again."""
    return sorted(path.name for path in folder.glob("*.index"))


def state_text(latest: str, paths: list[str], times: Sequence[float] = (), last_preserved: float = 0.0) -> str:
    return encode_state(CheckpointState(latest, tuple(paths), tuple(times), last_preserved)).decode()


class Seen(NamedTuple):
    """What can be seen from outside after a step of a program."""

    returned: str | None
    checkpoints: list[str | None]
    latest: str | None
    files: list[str]
    state: str
    save_counter: int


@dataclass
class Job:
    """One manager after the other in one folder, and what each said and left behind."""

    folder: Path
    checkpoint: Any
    step: Any
    make: Callable[..., Any]
    limits: dict[str, Any]
    relative: bool
    manager: Any = None
    seen: list[Any] = field(default_factory=list)

    def restart(self, limits: dict[str, Any] | None = None) -> None:
        self.limits = self.limits | (limits or {})
        directory = self.folder.name if self.relative else str(self.folder)
        self.manager = self.make(self.checkpoint, directory, step_counter=self.step, **self.limits)

    def look(self, returned: Any = None) -> None:
        state = self.folder / "checkpoint"
        self.seen.append(
            Seen(
                self._spelled(returned),
                [self._spelled(path) for path in self.manager.checkpoints],
                self._spelled(self.manager.latest_checkpoint),
                indexes(self.folder),
                state.read_text() if state.exists() else "",
                int(self.checkpoint.save_counter.numpy()),
            )
        )

    def _spelled(self, path: str | None) -> str | None:
        return None if path is None else path.replace(self.folder.name, "run")


class Clock:
    """What both see as the time."""

    now = START

    def time(self) -> float:
        return self.now


def run(job: Job, program: list[tuple[Any, ...]]) -> list[Any]:
    clock = Clock()
    # Of these modules only: what else looks at the time compares it with the files' own.
    theirs = patch("tensorflow.python.checkpoint.checkpoint_management.time", clock)
    with theirs, patch("cloudckpt.manager.train.managed_checkpoints.time", clock):
        job.restart()
        for what, *arguments in program:
            returned = None
            if what == "save":
                clock.now += 1
                number, check_interval = arguments
                returned = job.manager.save(number, check_interval)
            elif what == "hours":
                clock.now += arguments[0] * HOUR
            elif what == "step":
                job.step.assign(arguments[0])
            elif what == "restore":
                returned = job.manager.restore_or_initialize()
            else:
                job.restart(arguments[0])
            job.look(returned)
    return job.seen


def both(tf: Any, root: Path, limits: dict[str, Any], program: list[tuple[Any, ...]], *, relative: bool = False) -> Any:
    """What TensorFlow's showed, and what ours did."""
    theirs = Job(
        root / "theirs",
        tf.train.Checkpoint(w=tf.Variable(1.0)),
        tf.Variable(0, dtype=tf.int64),
        tf.train.CheckpointManager,
        limits,
        relative,
    )
    ours = Job(root / "ours", Counted(), Variable(0), CheckpointManager, limits, relative)
    return run(theirs, program), run(ours, program)


LIMITS = st.fixed_dictionaries(
    {
        "max_to_keep": st.sampled_from([1, 2, 3, None]),
        "keep_checkpoint_every_n_hours": st.sampled_from([None, 0.5, 1, 3.0]),
        "checkpoint_interval": st.sampled_from([None, None, 2, 5]),
    }
)
NUMBERS = st.one_of(st.none(), st.integers(0, 6))
PROGRAMS = st.lists(
    st.one_of(
        st.tuples(st.just("save"), NUMBERS, st.booleans()),
        st.tuples(st.just("save"), st.none(), st.just(True)),
        st.tuples(st.just("save"), st.none(), st.just(True)),
        st.tuples(st.just("hours"), st.sampled_from([0.4, 1.0, 2.5, -1.5])),
        st.tuples(st.just("step"), st.integers(0, 9)),
        st.tuples(st.just("restart"), st.one_of(st.just({}), LIMITS)),
        st.tuples(st.just("restore")),
    ),
    max_size=14,
)
SAVE = ("save", None, True)


def compare(
    tf: Any, limits: dict[str, Any], program: list[tuple[Any, ...]], *, relative: bool = False, checkpoints: int = 0
) -> None:
    """Let both run a program and leave and say the same; that at least so many checkpoints are there in the end."""
    with tempfile.TemporaryDirectory() as root, chdir(root):
        theirs, ours = both(tf, Path(root), limits, program, relative=relative)
    for number, (expected, found) in enumerate(zip(theirs, ours, strict=True)):
        assert found == expected, (number, program[number])
    assert not checkpoints or len(theirs[-1].files) == checkpoints


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=LIMITS, program=PROGRAMS, relative=st.booleans())
def test_any_program(tf: Any, limits: dict[str, Any], program: list[tuple[Any, ...]], relative: bool) -> None:
    compare(tf, limits, program, relative=relative)


AN_HOUR = ("hours", 1.0)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    ("limits", "program", "checkpoints"),
    [
        ({"max_to_keep": 2}, [SAVE] * 5, 2),
        ({"max_to_keep": None}, [SAVE] * 5, 5),
        ({"max_to_keep": 1, "keep_checkpoint_every_n_hours": 1}, [SAVE, AN_HOUR, AN_HOUR] * 4, 3),
        ({"max_to_keep": 1, "keep_checkpoint_every_n_hours": 2}, [SAVE, AN_HOUR, ("restart", {})] * 6, 3),
        ({"max_to_keep": 3}, [SAVE, SAVE, SAVE, ("restart", {"max_to_keep": 1}), SAVE], 1),
        ({"max_to_keep": 1}, [SAVE, SAVE, SAVE, ("restart", {"max_to_keep": 3}), SAVE, SAVE], 3),
        (
            {"max_to_keep": 2, "keep_checkpoint_every_n_hours": 1},
            [SAVE, SAVE, AN_HOUR, AN_HOUR, SAVE, SAVE, ("hours", -5.0), ("restart", {}), SAVE, SAVE, SAVE],
            4,
        ),
        ({"max_to_keep": 2}, [("save", number, True) for number in (3, 4, 3, 5)], 2),
        ({"max_to_keep": 9, "checkpoint_interval": 3}, [SAVE, ("step", 2), SAVE, ("step", 3), SAVE, SAVE], 2),
        (
            {"max_to_keep": 9, "checkpoint_interval": 3, "last_checkpoint_step": 0},
            [SAVE, ("step", 2), SAVE, ("save", None, False), ("save", None, False), ("step", 9), SAVE],
            2,
        ),
    ],
)
def test_the_programs_that_people_write(
    tf: Any, limits: dict[str, Any], program: list[tuple[Any, ...]], checkpoints: int, relative: bool
) -> None:
    compare(tf, limits, program, relative=relative, checkpoints=checkpoints)


def test_the_arguments_are_tensorflows(tf: Any) -> None:
    ours = inspect.signature(CheckpointManager).parameters.values()
    theirs = inspect.signature(tf.train.CheckpointManager).parameters.values()
    assert [(each.name, each.default) for each in ours if each.kind is not each.KEYWORD_ONLY] == [
        (each.name, each.default) for each in theirs
    ]
    assert {each.name for each in ours if each.kind is each.KEYWORD_ONLY} == {"storage_options", "timeout"}
    for method in ("save", "restore_or_initialize", "sync"):
        one, other = getattr(CheckpointManager, method), getattr(tf.train.CheckpointManager, method)
        assert [*inspect.signature(one).parameters] == [*inspect.signature(other).parameters]
    public = {name for name in vars(tf.train.CheckpointManager) if not name.startswith("_")}
    assert {name for name in vars(CheckpointManager) if not name.startswith("_")} == public


@pytest.mark.parametrize(
    "limits", [{"max_to_keep": 0}, {"max_to_keep": -1}, {"max_to_keep": 1, "checkpoint_interval": 2}]
)
def test_the_same_arguments_are_refused(tf: Any, tmp_path: Path, limits: dict[str, Any]) -> None:
    for make in (tf.train.CheckpointManager, CheckpointManager):
        with pytest.raises(ValueError, match=r"max_to_keep|step_counter"):
            make(Counted(), str(tmp_path), **limits)


@pytest.mark.parametrize(
    "state",
    [
        "",
        state_text("ckpt-2", ["ckpt-1", "ckpt-2"]),
        state_text("/elsewhere/ckpt-2", ["/elsewhere/ckpt-2"], [5.0], 4.0),
        state_text("other-2", [], [], 1e300),
        state_text("ckpt-3", ["ckpt-2", "ckpt-3"], [1e300, 3.0], 3.0),
    ],
)
def test_the_same_is_recovered_of_a_state_file(tf: Any, tmp_path: Path, state: str) -> None:
    if state:
        (tmp_path / "checkpoint").write_text(state)
    theirs = tf.train.CheckpointManager(tf.train.Checkpoint(), str(tmp_path), max_to_keep=3)
    ours = CheckpointManager(Counted(), tmp_path, max_to_keep=3)
    assert (ours.checkpoints, ours.latest_checkpoint) == (theirs.checkpoints, theirs.latest_checkpoint)
    assert (ours.directory, ours.checkpoint_interval) == (theirs.directory, theirs.checkpoint_interval)


def test_a_state_file_without_a_latest_checkpoint_is_refused(tf: Any, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("last_preserved_timestamp: 1.0\n")
    for make in (tf.train.CheckpointManager, CheckpointManager):
        with pytest.raises(ValueError, match="checkpoint"):
            make(Counted(), str(tmp_path), max_to_keep=3)


def test_managers_of_both_take_turns(tf: Any, tmp_path: Path) -> None:
    theirs, ours = tf.train.Checkpoint(w=tf.Variable(1.0)), Counted()
    for number in range(1, 7):
        manager = (
            tf.train.CheckpointManager(theirs, str(tmp_path), max_to_keep=2)
            if number % 2
            else CheckpointManager(ours, tmp_path, max_to_keep=2)
        )
        saved = manager.save(number)
        assert manager.checkpoints == [f"{tmp_path}/ckpt-{kept}" for kept in range(max(1, number - 1), number + 1)]
        assert saved == manager.latest_checkpoint == manager.checkpoints[-1]
        assert indexes(tmp_path) == [f"{Path(path).name}.index" for path in manager.checkpoints]


def test_init_fn_is_called_where_there_is_nothing_to_restore(tf: Any, tmp_path: Path) -> None:
    for name, make, checkpoint in (
        ("theirs", tf.train.CheckpointManager, tf.train.Checkpoint(w=tf.Variable(1.0))),
        ("ours", CheckpointManager, Counted()),
    ):
        calls: list[str] = []
        for expected in (None, f"{tmp_path}/{name}/ckpt-1"):
            manager = make(checkpoint, f"{tmp_path}/{name}", 3, init_fn=lambda called=calls: called.append("called"))
            assert manager.restore_or_initialize() == expected
            assert calls == ["called"]
            manager.save()
