"""A directory that other tools copy, its files in any order: a checkpoint counts once it is whole, and never before."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
import warnings
from itertools import chain, combinations, permutations
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest

import cloudckpt as ckpt
from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checksums import crc32c
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointNotFoundError,
    RecoveryWarning,
    StateFileError,
)
from cloudckpt.objects.trees.save import tensors_of
from cloudckpt.state.directory import swap_state
from cloudckpt.state.state_file import CheckpointState
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always
from tests.faults.states import number_of, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.servers import ObjectServer

NOTHING: Any = (None, None)
STATE = "checkpoint"
SHARDS = 2
LATER = 3600.0


def write_source(directory: Location) -> None:
    """Step 1 in one data file, step 2 in several, and the state that names both."""
    for step, count in ((1, 1), (2, SHARDS)):
        save_tensors(directory.child(f"ckpt-{step}"), tensors_of(state(step)), shards=count, alignment=1)
    swap_state(directory, CheckpointState("ckpt-2", ("ckpt-1", "ckpt-2"), (1.0, 2.0)), None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of such a directory, by their names."""
    folder = tmp_path_factory.mktemp("source")
    with open_location(folder) as directory:
        write_source(directory)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(files) == SHARDS + 4
    return files


def files_of(step: int, names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith(f"ckpt-{step}.")}


def moments(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """What may be there at some moment of a copy, in the order in which it came.

    All orders of the data files are one: nobody looks at their times.
    """
    names = sorted(names)
    for there in chain.from_iterable(combinations(names, count) for count in range(len(names) + 1)):
        data = [name for name in there if ".data-" in name]
        for order in permutations([name for name in there if name not in data]):
            yield (*data, *order)


def check(directory: str, there: Iterable[str], source: Iterable[str], options: dict[str, Any] | None = None) -> None:
    """Recovery and loads take what is whole of what is there, and nothing else.

    Args:
        directory: the copy.
        there: the names of the files that have been copied, to their ends.
        source: the names of all files.
        options: of the store.
    """
    there = set(there)
    whole = [step for step in (1, 2) if files_of(step, source) <= there]
    for step in (1, 2):
        check_load(f"{directory}/ckpt-{step}", step, options, whole=step in whole)
    check_latest(directory, there, whole, options)
    with ckpt.CheckpointManager(directory, storage_options=options) as manager, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecoveryWarning)
        if whole:
            tree, step = manager.restore_latest()
            assert (number_of(tree), step, manager.latest_step()) == (whole[-1], whole[-1], whole[-1])
        elif there & {STATE, "ckpt-1.index", "ckpt-2.index"}:
            for recover in (manager.restore_latest, manager.latest_step):
                with pytest.raises(CheckpointDamagedError):
                    recover()
        else:
            assert manager.restore_latest(default=NOTHING) == NOTHING


def check_latest(directory: str, there: set[str], whole: list[int], options: dict[str, Any] | None) -> None:
    """`latest_checkpoint` names what is whole, once there is a state; nothing, only where no index is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecoveryWarning)
        try:
            latest = ckpt.latest_checkpoint(directory, storage_options=options)
        except CheckpointDamagedError:
            assert not whole
            assert STATE in there
            assert there & {"ckpt-1.index", "ckpt-2.index"}
        else:
            if STATE in there and whole:
                assert latest == f"{directory}/ckpt-{whole[-1]}"
            else:
                assert latest is None
                assert STATE not in there or not there & {"ckpt-1.index", "ckpt-2.index"}


def check_load(prefix: str, step: int, options: dict[str, Any] | None, *, whole: bool) -> None:
    if whole:
        assert number_of(ckpt.load(prefix, storage_options=options)) == step
    else:
        with pytest.raises((CheckpointDamagedError, CheckpointNotFoundError)):
            ckpt.load(prefix, storage_options=options)


@pytest.mark.parametrize("where", ["memory", "local"])
def test_in_any_order(where: str, tmp_path: Path, source: dict[str, bytes]) -> None:
    for number, there in enumerate(moments(source)):
        url = f"memory://{uuid.uuid4().hex}" if where == "memory" else str(tmp_path / str(number))
        with open_location(url, {} if where == "memory" else {"fsync": False}) as directory:
            for position, name in enumerate(there):
                file = directory.child(name)
                file.store.put(file.key, source[name], Always(), crc32c=crc32c(source[name]))
                if where == "local":  # the system's clock may give all the same time
                    os.utime(file.key, ns=(2**62 + position,) * 2)
        check(url, there, source)
        shutil.rmtree(tmp_path / str(number), ignore_errors=True)


@pytest.mark.parametrize("part", ["nothing", "half", "all but a byte"])
def test_while_a_file_grows(tmp_path: Path, source: dict[str, bytes], part: str) -> None:
    for number, growing in enumerate(sorted(source)):
        others = [name for name in source if name != growing]
        for there in ([], files_of(1, others), others):
            folder = tmp_path / f"{number}-{len(there)}"
            folder.mkdir()
            for name in there:
                (folder / name).write_bytes(source[name])
            size = len(source[growing])
            length = {"nothing": 0, "half": size // 2, "all but a byte": size - 1}[part]
            (folder / growing).write_bytes(source[growing][:length])
            check_growing(str(folder), growing, set(there), source)


def check_growing(directory: str, growing: str, there: set[str], source: dict[str, bytes]) -> None:
    whole = [step for step in (1, 2) if files_of(step, source) <= there]
    for step in (1, 2):
        check_load(f"{directory}/ckpt-{step}", step, None, whole=step in whole)
    with ckpt.CheckpointManager(directory) as manager, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecoveryWarning)
        try:
            latest = ckpt.latest_checkpoint(directory)
            assert latest is None or latest == f"{directory}/ckpt-{whole[-1]}"
        except StateFileError:
            assert growing == STATE
        except CheckpointDamagedError:
            assert not whole
        try:
            tree, step = manager.restore_latest(default=NOTHING)
        except CheckpointDamagedError:
            assert not whole
        else:
            assert step == (whole[-1] if whole else None)
            assert whole or not there or growing == STATE
            assert tree is None or number_of(tree) == step


@pytest.mark.parametrize("name", ["ckpt-2.data-00000-of-00002", "ckpt-2.data-00001-of-00002"])
def test_a_file_that_has_its_size_before_its_bytes(tmp_path: Path, source: dict[str, bytes], name: str) -> None:
    """As tools do that take the space first; only the checksums tell."""
    for other, data in source.items():
        (tmp_path / other).write_bytes(bytes(len(data)) if other == name else data)
    with pytest.raises(CheckpointDamagedError):
        ckpt.load(tmp_path / "ckpt-2")
    with ckpt.CheckpointManager(tmp_path) as manager, pytest.warns(RecoveryWarning, match="step 2 .* is passed over"):
        assert manager.restore_latest()[1] == 1


@pytest.mark.parametrize("flags", ["-r", "-rp"])
def test_cp(tmp_path: Path, flags: str) -> None:
    """The real one, while a job looks for what it may resume."""
    sizes = {1: 1000, 2: 3_000_000}
    with ckpt.CheckpointManager(tmp_path / "source") as manager:
        for step, size in sizes.items():
            manager.save(step, {"w": np.full(size, step)})
    target = tmp_path / "target"
    found = set()
    with subprocess.Popen(["cp", flags, tmp_path / "source", target]) as copying, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecoveryWarning)
        ended = False
        while not ended:
            ended = copying.poll() is not None  # and once more after its end
            with ckpt.CheckpointManager(target) as manager:
                try:
                    tree, step = manager.restore_latest(default=({"w": None}, None))
                except CheckpointDamagedError:
                    continue
                found.add(step)
                assert step is None or tree["w"].tolist() == [step] * sizes[step]
    assert copying.returncode == 0
    assert step == 2
    assert found <= {None, 1, 2}


@pytest.mark.parametrize("server", ["minio", "fake_gcs"])
def test_copied_by_the_server(request: pytest.FixtureRequest, server: str) -> None:
    """As `aws s3 cp`, `gsutil` and `rclone` do from bucket to bucket."""
    running: ObjectServer = request.getfixturevalue(server)
    root, options = running.fresh_url(), running.storage_options
    with open_location(f"{root}/source", options) as directory:
        write_source(directory)
        names = [info.key.rpartition("/")[2] for info in directory.store.list(directory.child("").key)]
    files = fsspec.filesystem(running.scheme, **options)
    older = files_of(1, names)
    for number, order in enumerate(permutations(sorted({*names} - older))):
        target = f"{root}/target-{number}"
        for position, name in enumerate((*sorted(older), *order), 1):
            files.cp_file(f"{root}/source/{name}", f"{target}/{name}")
            if position >= len(older):
                check_recovery(target, {*older, *order[: position - len(older)]}, names, options)


def check_recovery(directory: str, there: set[str], source: Iterable[str], options: dict[str, Any]) -> None:
    newest = 2 if files_of(2, source) <= there else 1
    with ckpt.CheckpointManager(directory, storage_options=options) as manager, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecoveryWarning)
        tree, step = manager.restore_latest()
    assert (step, number_of(tree)) == (newest, newest)


@pytest.mark.parametrize("server", ["minio", "fake_gcs"])
def test_uploaded_from_a_disk_and_back(
    request: pytest.FixtureRequest, server: str, tmp_path: Path, source: dict[str, bytes]
) -> None:
    running: ObjectServer = request.getfixturevalue(server)
    root, options = running.fresh_url(), running.storage_options
    for name, data in source.items():
        (tmp_path / name).write_bytes(data)
    files = fsspec.filesystem(running.scheme, **options)
    files.put([str(path) for path in tmp_path.iterdir()], f"{root}/run/")
    check(f"{root}/run", source, source, options)
    with ckpt.CheckpointManager(f"{root}/run", storage_options=options) as manager:
        manager.restore_latest()
        manager.save(3, state(3))
    files.get(f"{root}/run/", str(tmp_path / "back") + "/", recursive=True)
    with ckpt.CheckpointManager(tmp_path / "back") as manager:
        assert manager.all_steps() == [1, 2, 3]
        assert number_of(manager.restore_latest()[0]) == 3
