"""Managers and objects: a step saved and the newest one restored, beside those of TensorFlow and of Orbax."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

import cloudckpt as ckpt
from benchmarks import peers
from benchmarks.bucket import s3_bucket
from benchmarks.measure import Contender, compete, results_table
from benchmarks.report import Goal, Report
from cloudckpt import train

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.bucket import Bucket
    from benchmarks.measure import Arrays, Outcome, Plan
    from benchmarks.options import Options

__all__ = ["measure"]

OURS, OBJECTS = "cloudckpt.CheckpointManager", "cloudckpt.train.Checkpoint"
TENSORFLOW, ORBAX = "tf.train.Checkpoint", "Orbax CheckpointManager"
THEN_BOTO3 = f"{TENSORFLOW}, then boto3"
UNSYNCED = {"fsync": False}


def measure(options: Options, folder: Path) -> Report:
    """On a local disk, then in a bucket: TensorFlow has no way there but a local file that is sent afterwards."""
    plan = options.few_large_tensors()
    local = [
        manager(plan, OURS, durable=True),
        manager(plan, f"{OURS}, fsync=False", UNSYNCED, durable=False),
        objects(plan, f"{OBJECTS}, fsync=False", UNSYNCED),
    ]
    on_disk = [(TENSORFLOW, "tensorflow", tensorflow), (ORBAX, "orbax", orbax)]
    there, missing = peers.installed(plan, on_disk)
    outcomes = compete([*local, *there], plan, folder)
    report = Report([results_table("Managers, on a local disk", outcomes, plan, missing)])
    report.goals += beside(outcomes, f"{OURS}, fsync=False", (TENSORFLOW, ORBAX), "a local disk", ("2", "4"))
    with s3_bucket(folder) as bucket:
        of_this_bucket = [(THEN_BOTO3, "tensorflow", lambda plan: tensorflow_then_boto3(plan, bucket))]
        there, missing = peers.installed(plan, of_this_bucket)
        outcomes = compete([manager_in_bucket(plan, bucket), *there], plan, folder, bucket.clean)
        report.tables.append(results_table(f"Managers, {bucket.server}", outcomes, plan, missing))
        report.goals += beside(outcomes, OURS, (THEN_BOTO3,), "S3", ("3", "5"))
    return report


def manager(plan: Plan, name: str, options: Mapping[str, Any] | None = None, *, durable: bool) -> Contender:
    """Ours, which names the step in a state file, too."""

    def save(folder: Path) -> None:
        with ckpt.CheckpointManager(folder, storage_options=options) as there:
            there.save(1, plan.arrays)

    def restore(folder: Path) -> Arrays:
        with ckpt.CheckpointManager(folder, storage_options=options) as there:
            state, _ = there.restore_latest()
        return state

    return Contender(name, save, restore, durable=durable)


def manager_in_bucket(plan: Plan, bucket: Bucket) -> Contender:
    """The same, straight to the bucket."""

    def save(folder: Path) -> None:
        with ckpt.CheckpointManager(bucket.url(folder.name), storage_options=bucket.options) as there:
            there.save(1, plan.arrays)

    def restore(folder: Path) -> Arrays:
        with ckpt.CheckpointManager(bucket.url(folder.name), storage_options=bucket.options) as there:
            state, _ = there.restore_latest()
        return state

    return Contender(OURS, save, restore)


def objects(plan: Plan, name: str, options: Mapping[str, Any]) -> Contender:
    """Ours of variables, which are assigned to where they are."""
    variables = {key: ckpt.Variable(array, name=key) for key, array in plan.arrays.items()}
    checkpoint = train.Checkpoint(model=variables)
    return Contender(
        name,
        lambda folder: checkpoint.write(str(folder / "ckpt"), storage_options=options),
        lambda folder: checkpoint.read(str(folder / "ckpt"), storage_options=options).assert_consumed(),
        lambda _: {key: variable.numpy() for key, variable in variables.items()},
        durable=False,
    )


def tensorflow(plan: Plan) -> Contender:
    """TensorFlow's, of its variables."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0")
    import tensorflow as tf

    variables = {key: tf.Variable(array) for key, array in plan.arrays.items()}
    checkpoint = tf.train.Checkpoint(model=variables)
    return Contender(
        TENSORFLOW,
        lambda folder: checkpoint.write(str(folder / "ckpt")),
        lambda folder: checkpoint.read(str(folder / "ckpt")).assert_consumed(),
        lambda _: {key: variable.numpy() for key, variable in variables.items()},
        durable=False,
    )


def tensorflow_then_boto3(plan: Plan, bucket: Bucket) -> Contender:
    """Its files on a local disk first, and then boto3's managed transfer of each; and back."""
    own = tensorflow(plan)

    def save(folder: Path) -> None:
        own.save(folder)
        for file in folder.iterdir():
            bucket.client.upload_file(str(file), bucket.name, f"{folder.name}/{file.name}")

    def restore(folder: Path) -> object:
        for file in [*folder.iterdir()]:
            file.unlink()
            bucket.client.download_file(bucket.name, f"{folder.name}/{file.name}", str(file))
        return own.restore(folder)

    return Contender(THEN_BOTO3, save, restore, own.arrays)


def orbax(plan: Plan) -> Contender:
    """Orbax's, which also waits for nothing but its own rename."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from orbax import checkpoint

    state = dict(plan.arrays)

    def save(folder: Path) -> None:
        with checkpoint.CheckpointManager(folder / "steps") as there:
            there.save(1, args=checkpoint.args.StandardSave(state))
            there.wait_until_finished()

    def restore(folder: Path) -> Any:
        with checkpoint.CheckpointManager(folder / "steps") as there:
            return there.restore(there.latest_step(), args=checkpoint.args.StandardRestore(state))

    def arrays(restored: Any) -> Arrays:
        return {key: np.asarray(array) for key, array in restored.items()}

    return Contender(ORBAX, save, restore, arrays, durable=False)


def beside(
    outcomes: Mapping[str, Outcome], ours: str, theirs: tuple[str, ...], place: str, goal: tuple[str, str]
) -> list[Goal]:
    """Theirs by ours, in time, for those that took part."""
    own, found = outcomes[ours], []
    for name in theirs:
        if (other := outcomes.get(name)) is not None:
            found += [
                Goal(f"save to {place}, to {name}", *goal, f"{other.save.best / own.save.best:.2f}"),
                Goal(f"restore from {place}, to {name}", *goal, f"{other.restore.best / own.restore.best:.2f}"),
            ]
    return found
