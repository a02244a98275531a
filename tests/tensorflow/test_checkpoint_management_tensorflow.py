"""The functions around the state file, and a saver's list of its checkpoints, beside the real ones."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import cloudckpt as ckpt
from cloudckpt import train
from cloudckpt.saver import last_checkpoints
from cloudckpt.state import iterator
from cloudckpt.state.checkpoint_state import write_state
from cloudckpt.state.places import SaveDirectory
from cloudckpt.state.state_file import CheckpointState, encode_state
from cloudckpt.storage.open import open_location
from tests.golden.states import FOLDER, PATHS
from tests.saver.small_saver import SmallSaver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REAL = Path(os.environ.get("CLOUDCKPT_REAL_CHECKPOINTS", "/nonexistent")).resolve()
STATES = sorted(str(path.relative_to(REAL)) for path in REAL.rglob("checkpoint") if path.is_file())


def management() -> Any:
    """TensorFlow's module with these functions."""
    from tensorflow.python.checkpoint import checkpoint_management

    return checkpoint_management


# Writing.

SAME: list[tuple[str, str, Sequence[str]]] = [
    # save_dir, model_checkpoint_path, all_model_checkpoint_paths
    ("run", "run/m-1", []),
    ("run", "run/m-2", ["run/m-1"]),
    ("run", "run/m-2", ["run/m-1", "run/m-2"]),
    ("run/", "run/m-2", ["run/m-1", "run/m-2"]),
    ("", "m-2", ["m-1"]),
    (".", "./m-2", ["m-1"]),
    ("run", "m-2", ["other/m-1"]),
    ("run", "/runs/m-2", ["run/m-1", "/runs/m-1"]),
    ("/runs", "/runs/m-2", ["/runs/m-1", "m-1", "../m-0"]),
    ("run", "run/below/m-?????-of-00002", []),
    ("run", 'run/quote"', ["run/new\nline", "run/日本"]),
    ("s3://bucket/run", "s3://bucket/run/m-2", ["s3://bucket/run/m-1"]),
    ("s3://bucket", "s3://bucket/m-2", []),
    ("gs://bucket/run", "gs://bucket/run/below/m-2", ["/elsewhere/m-1"]),
]


@pytest.mark.parametrize(("save_dir", "path", "paths"), SAME)
def test_generate_gives_the_same_message(tf: Any, save_dir: str, path: str, paths: Sequence[str]) -> None:
    count = len(paths) + (not paths or paths[-1] != path)
    for times in (None, [float(number) for number in range(count)]):
        theirs = tf.compat.v1.train.generate_checkpoint_state_proto(save_dir, path, list(paths), times, 1.5)
        ours = train.generate_checkpoint_state_proto(save_dir, path, list(paths), times, 1.5)
        assert text_format.MessageToString(ours) == text_format.MessageToString(theirs)
        assert ours.SerializeToString() == theirs.SerializeToString()


@pytest.mark.parametrize("times", [[1.0], [1.0] * 3])
def test_generate_refuses_times_that_do_not_fit(tf: Any, times: list[float]) -> None:
    for generate in (tf.compat.v1.train.generate_checkpoint_state_proto, train.generate_checkpoint_state_proto):
        with pytest.raises(ValueError, match="timestamps"):
            generate("run", "run/m-2", ["run/m-1", "run/m-2"], times)


def written_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: Any, ours: Any) -> tuple[bytes, bytes]:
    """The state files that both write, each in a working directory of its own."""
    written = []
    for name, write in (("theirs", theirs), ("ours", ours)):
        (tmp_path / name / "run").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / name)
        write()
        (file,) = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append(file.read_bytes())
    return written[0], written[1]


LOCAL = [case for case in SAME if "://" not in case[0] and not case[0].startswith("/")]


@pytest.mark.parametrize(("save_dir", "path", "paths"), LOCAL)
def test_update_writes_the_same_bytes(
    tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_dir: str, path: str, paths: Sequence[str]
) -> None:
    theirs, ours = written_beside(
        tmp_path,
        monkeypatch,
        lambda: tf.compat.v1.train.update_checkpoint_state(save_dir, path, list(paths)),
        lambda: train.update_checkpoint_state(save_dir, path, list(paths)),
    )
    assert ours == theirs


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("where", ["run", "./run", "{}/run", ""])
def test_a_saver_writes_the_same_bytes(
    tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, relative: bool
) -> None:
    save_dir = where.format(tmp_path)
    names = [os.path.join(save_dir, f"m-{step}") for step in (1, 2, 3)]

    def ours() -> None:
        with open_location(os.path.join(save_dir, "m-3")) as prefix:
            write_state(SaveDirectory.of(names[-1], prefix), names[-1], names, save_relative_paths=relative)

    def theirs() -> None:
        management().update_checkpoint_state_internal(
            save_dir, names[-1], all_model_checkpoint_paths=list(names), save_relative_paths=relative
        )

    texts = []
    for name, write in (("theirs", theirs), ("ours", ours)):
        (tmp_path / name / "run").mkdir(parents=True)
        (tmp_path / "run").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / name)
        write()
        texts.append((Path(save_dir) / "checkpoint").read_bytes())
    assert texts[0] == texts[1]


def test_an_absolute_path_beside_a_relative_directory_is_made_relative_once(
    tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow's takes it for relative to the working directory then, and names what is not there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    names = [f"{tmp_path}/run/m-1", "run/m-2"]
    management().update_checkpoint_state_internal(
        "run", names[-1], all_model_checkpoint_paths=list(names), save_relative_paths=True
    )
    assert 'all_model_checkpoint_paths: "../m-1"' in Path("run/checkpoint").read_text()
    with open_location("run/m-2") as prefix:
        write_state(SaveDirectory.of("run/m-2", prefix), "run/m-2", names, save_relative_paths=True)
    assert 'all_model_checkpoint_paths: "m-1"' in Path("run/checkpoint").read_text()


@pytest.mark.parametrize("latest_filename", [None, "best"])
@pytest.mark.parametrize("save_dir", ["{}", "", "run"])
def test_a_checkpoint_with_the_state_file_s_path_is_refused_by_both(
    tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_dir: str, latest_filename: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    directory = save_dir.format(tmp_path)
    path = os.path.join(directory, latest_filename or "checkpoint")
    answers = []
    for update in (tf.compat.v1.train.update_checkpoint_state, train.update_checkpoint_state):
        try:
            update(directory, path, latest_filename=latest_filename)
            answers.append(None)
        except RuntimeError as error:
            answers.append(type(error))
    assert answers[0] == answers[1] == (None if directory == "run" else RuntimeError)


# Reading.


def same_state(theirs: Any, ours: Any) -> bool:
    return bool(ours.SerializeToString() == theirs.SerializeToString())


@pytest.mark.parametrize("name", sorted(set(PATHS) - {"url"}))
@pytest.mark.parametrize("spelling", ["{}", "{}/", "states"])
def test_get_reads_the_same_of_golden_files(tf: Any, monkeypatch: pytest.MonkeyPatch, name: str, spelling: str) -> None:
    monkeypatch.chdir(FOLDER.parent)
    directory = spelling.format(FOLDER)
    assert same_state(tf.train.get_checkpoint_state(directory, name), train.get_checkpoint_state(directory, name))


def test_get_takes_a_url_for_an_absolute_path(tf: Any) -> None:
    theirs = tf.train.get_checkpoint_state(str(FOLDER), "url")
    assert theirs.model_checkpoint_path == f"{FOLDER}/gs://bucket/run/m-2"
    assert train.get_checkpoint_state(FOLDER, "url").model_checkpoint_path == "gs://bucket/run/m-2"


def test_real_state_files_are_there(real_checkpoints: Path) -> None:
    assert {"state_emotion/overfit_run/checkpoint", "state_tegg89_dangling/checkpoint"} <= set(STATES)


@pytest.mark.parametrize("file", STATES)
def test_get_reads_the_same_of_real_files(tf: Any, file: str) -> None:
    folder = str((REAL / file).parent)
    assert same_state(tf.train.get_checkpoint_state(folder), train.get_checkpoint_state(folder))


READ: dict[str, tuple[bytes | None, Any, Any]] = {
    # what is in the file; TensorFlow's answer; ours
    "missing": (None, None, None),
    "a comment": (b'# x\nmodel_checkpoint_path: "m" # y\n', "run/m", "run/m"),
    "apostrophes and parts": (b"model_checkpoint_path: 'm' \"-1\"", "run/m-1", "run/m-1"),
    "Windows line ends": (b'model_checkpoint_path: "m"\r\nall_model_checkpoint_paths: "m"\r\n', "run/m", "run/m"),
    "one line": (b'model_checkpoint_path: "m" all_model_checkpoint_paths: "m";', "run/m", "run/m"),
    "empty": (b"", ValueError, ckpt.StateFileError),
    "no latest": (b'all_model_checkpoint_paths: "m"', ValueError, ckpt.StateFileError),
    # TensorFlow logs a warning, and its answer is that of a missing file.
    "unreadable": (b"rubbish", None, ckpt.StateFileError),
    "cut off": (b'model_checkpoint_path: "m', None, ckpt.StateFileError),
    "twice": (b'model_checkpoint_path: "m"\nmodel_checkpoint_path: "n"', "run/n", "run/n"),
    "an unknown field": (b'model_checkpoint_path: "m"\nnew: 1', None, "run/m"),
    "not UTF-8": (b'model_checkpoint_path: "\xff"', UnicodeDecodeError, ckpt.StateFileError),
}


@pytest.mark.parametrize("case", READ)
def test_what_get_says_of_odd_files(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    content, theirs, ours = READ[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    if content is not None:
        (tmp_path / "run" / "checkpoint").write_bytes(content)

    def answer(get: Callable[[str], Any]) -> Any:
        try:
            state = get("run")
        except Exception as error:  # noqa: BLE001 - its type is the answer
            return type(error)
        return state and state.model_checkpoint_path

    assert answer(tf.train.get_checkpoint_state) == theirs
    assert answer(train.get_checkpoint_state) == ours
    assert not isinstance(theirs, type) or issubclass(ours, ValueError)


def test_their_functions_take_our_message_and_ours_is_theirs_in_bytes(tf: Any, tmp_path: Path) -> None:
    """`latest_checkpoint` of one after a write of the other, with relative paths and without."""
    for relative in (False, True):
        saver = SmallSaver(relative=relative)
        for step in (1, 2, 3):
            saver.save(str(tmp_path / f"m-{step}"))
        assert tf.train.latest_checkpoint(str(tmp_path)) == train.latest_checkpoint(str(tmp_path))
        theirs, ours = (get(str(tmp_path)) for get in (tf.train.get_checkpoint_state, train.get_checkpoint_state))
        assert same_state(theirs, ours)
        assert list(theirs.all_model_checkpoint_paths) == saver.last.names


# Times, and deleting.


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A directory of checkpoints and files of both versions, beside others of similar names."""
    folder = tmp_path / "run"
    for name in ("m-1", "m-10", "m-2", "m-1.x"):
        ckpt.save(folder / name, {"w": np.ones(2)})
    for number, name in enumerate(
        ("m-1.meta", "m-10.meta", "v-1", "v-1.meta", "v-2-00000-of-00002", "v-2-00001-of-00002", "v-2.meta", "m-2")
    ):
        (folder / name).write_bytes(b"x")
        # Of several shards TensorFlow takes the time of any.
        os.utime(folder / name, (1e9, 1e9 + number * ("of" not in name) + 0.125))
    return folder


NAMES = ["m-1", "m-10", "m-2", "gone", "v-1", "v-2-?????-of-00002", "v-2-00001-of-00002", "v-2", "v-2-?????-of-00003"]


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], [], ["gone"], *([name] for name in NAMES)])
def test_the_mtimes_are_the_same_but_for_fractions_of_seconds(tf: Any, run: Path, names: list[str]) -> None:
    prefixes = [str(run / name) for name in names]
    ours = train.get_checkpoint_mtimes(prefixes)
    assert [float(int(seconds)) for seconds in ours] == tf.compat.v1.train.get_checkpoint_mtimes(prefixes)


REMOVALS = [
    ("m-1", {}),
    ("m-2", {}),
    ("gone", {}),
    ("m-10", {"meta_graph_suffix": "graph"}),
    ("m-2", {"checkpoint_format_version": 1}),
    ("v-1", {"checkpoint_format_version": 1}),
    ("v-1", {"checkpoint_format_version": 2}),
    ("v-2-?????-of-00002", {"checkpoint_format_version": 1}),
    ("v-2-00000-of-00002", {"checkpoint_format_version": 1}),
    ("v-2", {"checkpoint_format_version": 1}),
]


def left_by(remove: Callable[..., object], run: Path, name: str, options: dict[str, Any]) -> set[str]:
    """What is left in a copy of the directory."""
    copy = run.with_name(f"copy-{remove.__module__}")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    remove(str(copy / name), **options)
    return {path.name for path in copy.iterdir()}


@pytest.mark.parametrize(("name", "options"), REMOVALS)
def test_the_same_files_are_removed(tf: Any, run: Path, name: str, options: dict[str, Any]) -> None:
    theirs = left_by(tf.compat.v1.train.remove_checkpoint, run, name, options)
    assert left_by(train.remove_checkpoint, run, name, options) == theirs


@pytest.mark.parametrize("name", ["m-*", "m-?", "*"])
def test_a_pattern_removes_nothing_of_other_checkpoints(tf: Any, run: Path, name: str) -> None:
    before = {path.name for path in run.iterdir()}
    assert left_by(tf.compat.v1.train.remove_checkpoint, run, name, {}) < before
    assert left_by(train.remove_checkpoint, run, name, {}) == before


def test_data_that_no_index_names_is_left_to_the_collector(tf: Any, run: Path) -> None:
    stray = "m-1.data-00000-of-00002"
    (run / stray).write_bytes(b"x")
    assert stray not in left_by(tf.compat.v1.train.remove_checkpoint, run, "m-1", {})
    assert stray in left_by(train.remove_checkpoint, run, "m-1", {})


# Waiting.


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("asked", [None, 0, 1, 2])
def test_checkpoints_iterator_gives_the_same_and_asks_as_often(tf: Any, tmp_path: Path, asked: int | None) -> None:
    from tensorflow.python.training import checkpoint_utils

    run = str(tmp_path)

    def given(module: Any, checkpoints_iterator: Callable[..., Any]) -> tuple[list[str], int]:
        shutil.rmtree(run)
        clock, calls = Clock(), []

        def is_over() -> bool:
            calls.append(clock.now)
            return len(calls) > (asked or 0)

        with patch.object(module, "time", clock):
            found = []
            options = {} if asked is None else {"timeout_fn": is_over}
            SmallSaver().save(f"{run}/m-1")
            for path in checkpoints_iterator(run, min_interval_secs=5, timeout=20, **options):
                found.append(path)
                if len(found) < 3:
                    SmallSaver().save(f"{run}/m-{len(found) + 1}")
        return found, len(calls)

    assert given(iterator, train.checkpoints_iterator) == given(checkpoint_utils, tf.train.checkpoints_iterator)


# A saver's list.


class Both:
    """A real saver and ours, each in a directory of its own, by one clock; hours since the epoch."""

    def __init__(self, tf: Any, folder: Path, max_to_keep: int | None, hours: float, relative: bool) -> None:
        self._tf, self._folder = tf, folder
        self._arguments = (max_to_keep, hours, relative)
        self._clock = Clock()
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.compat.v1.get_variable("w", initializer=np.ones(1, np.float32), use_resource=False)
        self._session = tf.compat.v1.Session(graph=self._graph)
        self._session.run(self._graph.get_operation_by_name("w/Assign"))
        self._times: dict[int, float] = {}
        for name in ("theirs", "ours"):
            (folder / name).mkdir()
        self.start()

    def start(self) -> None:
        from tensorflow.python.training import saver

        max_to_keep, hours, relative = self._arguments
        with patch.object(saver, "time", self._clock), self._graph.as_default():
            self.theirs = self._tf.compat.v1.train.Saver(
                max_to_keep=max_to_keep, keep_checkpoint_every_n_hours=hours, save_relative_paths=relative
            )
        with patch.object(last_checkpoints, "time", self._clock):
            self.ours = SmallSaver(max_to_keep, hours, relative=relative)

    def wait(self, hours: float) -> None:
        self._clock.sleep(hours * 3600)

    def save(self, step: int) -> None:
        from tensorflow.python.training import saver

        with patch.object(saver, "time", self._clock), self._graph.as_default():
            self.theirs.save(self._session, str(self._folder / "theirs" / f"m-{step}"), write_meta_graph=False)
        with patch.object(last_checkpoints, "time", self._clock):
            self.ours.save(str(self._folder / "ours" / f"m-{step}"))
        self._times[step] = self._clock.now

    def lose(self, step: int) -> None:
        """Somebody deletes a checkpoint."""
        for name in ("theirs", "ours"):
            for path in (self._folder / name).glob(f"m-{step}.*"):
                path.unlink()

    def restart(self, how: str) -> None:
        """New savers, which are told what is there."""
        for name in ("theirs", "ours"):
            for path in (self._folder / name).glob("*.index"):
                saved_at = self._times[int(path.stem.removeprefix("m-"))]
                os.utime(path, (saved_at, saved_at))
        self.start()
        told = [f"m-{step}" for step in sorted(self._times)]
        for name, savers in (("theirs", self.theirs), ("ours", self.ours.last)):
            paths = [str(self._folder / name / each) for each in told]
            times = [self._times[step] for step in sorted(self._times)]
            if how == "recover":
                (savers.recover_last_checkpoints if name == "theirs" else savers.recover)(paths)
            elif how == "set":
                (savers.set_last_checkpoints if name == "theirs" else savers.set)(paths)
            elif how == "set with time":
                pairs = list(zip(paths, times, strict=True))
                (savers.set_last_checkpoints_with_time if name == "theirs" else savers.set_with_time)(pairs)

    def check(self) -> None:
        theirs, ours = self._folder / "theirs", self._folder / "ours"
        assert [path.replace("/ours/", "/theirs/") for path in self.ours.last.names] == self.theirs.last_checkpoints
        assert {path.name for path in ours.glob("*.index")} == {path.name for path in theirs.glob("*.index")}
        for path in theirs.glob("checkpoint"):
            assert (ours / path.name).read_bytes().replace(b"/ours/", b"/theirs/") == path.read_bytes()


hours = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 3.0])
steps = st.integers(0, 5)
actions = st.one_of(
    st.tuples(st.just("save"), steps),
    st.tuples(st.just("save"), steps),
    st.tuples(st.just("wait"), hours),
    st.tuples(st.just("lose"), steps),
    st.tuples(st.just("restart"), st.sampled_from(["recover", "set", "set with time", "nothing"])),
)


def at_the_moment(hours: float) -> list[tuple[str, Any]]:
    """A checkpoint saved so many hours after the saver was made, which is then dropped."""
    return [("wait", hours), ("save", 1), ("save", 2), ("save", 3)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
# At the very moment it is not kept; a SaverDef's 0.7 is a little less than 0.7.
@example(max_to_keep=1, keep_every=1.0, relative=False, program=at_the_moment(1.0))
@example(max_to_keep=1, keep_every=0.7, relative=False, program=at_the_moment(0.7))
@given(
    max_to_keep=st.sampled_from([None, 0, 1, 2, 3]),
    keep_every=st.sampled_from([0.1, 0.5, 1.0, 10000.0]),
    relative=st.booleans(),
    program=st.lists(actions, min_size=1, max_size=25),
)
def test_the_list_the_files_and_the_state_are_those_of_a_real_saver(
    tf: Any,
    tmp_path_factory: pytest.TempPathFactory,
    max_to_keep: int | None,
    keep_every: float,
    relative: bool,
    program: list[tuple[str, Any]],
) -> None:
    both = Both(tf, tmp_path_factory.mktemp("both"), max_to_keep, keep_every, relative)
    for action, argument in program:
        getattr(both, action)(argument)
        both.check()


def test_a_negative_max_to_keep_makes_a_real_saver_delete_what_it_has_just_saved(tf: Any, tmp_path: Path) -> None:
    """So ours refuses it."""
    with warnings.catch_warnings(), tf.Graph().as_default(), tf.compat.v1.Session() as session:
        v = tf.compat.v1.get_variable("w", initializer=np.ones(1, np.float32), use_resource=False)
        session.run(v.initializer)
        tf.compat.v1.train.Saver(max_to_keep=-1).save(session, str(tmp_path / "m"), write_meta_graph=False)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    with pytest.raises(ValueError, match="max_to_keep"):
        SmallSaver(max_to_keep=-1)


def test_an_empty_state_of_ours_is_theirs_too(tf: Any, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(encode_state(CheckpointState(retired=("m-1",))))
    with pytest.raises(ValueError, match="Invalid checkpoint state"):
        tf.train.get_checkpoint_state(str(tmp_path))
    with pytest.raises(ValueError, match="names no latest checkpoint"):
        train.get_checkpoint_state(tmp_path)
