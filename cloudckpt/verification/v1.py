"""Checking a checkpoint in the V1 format: one file or several, each a table of its tensors' slices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cloudckpt.bundle.v1_header import V1Tensor
from cloudckpt.checkpoint.parallel import run_side_by_side
from cloudckpt.checkpoint.v1_file import open_file, open_side_by_side
from cloudckpt.checkpoint.v1_files import missing_shards
from cloudckpt.errors import (
    CheckpointDamagedError,
    CheckpointVersionError,
    ObjectChangedError,
    ObjectNotFoundError,
    ShortReadError,
)
from cloudckpt.verification.log import VerifyLog, message_about
from cloudckpt.verification.report import Finding, FindingKind, VerifyReport
from cloudckpt.verification.slices import RegionChecks
from cloudckpt.verification.v1_file import V1FileCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudckpt.checkpoint.v1_file import V1File
    from cloudckpt.storage.open import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["verify_v1"]


def verify_v1(pattern: Location, found: Sequence[ObjectInfo]) -> VerifyReport:
    """Check a checkpoint whose files have just been looked up.

    Args:
        pattern: the path of its file, or the pattern that names all of them.
        found: these files.

    Raises:
        StorageError: the store failed.
    """
    log = VerifyLog()
    if (missing := missing_shards(pattern.key, found)) is not None:
        log.add(Finding(FindingKind.FILE_MISSING, missing, pattern.url))
    threads = pattern.store.max_concurrency
    files = open_side_by_side(found, partial(_open, pattern, log), threads=threads)
    checks = [V1FileCheck(file, log) for file in files]
    run_side_by_side((task for check in checks for task in check.tasks()), threads=threads)
    bytes_checked = sum(check.report() for check in checks)
    tensors = _unite(pattern.url, files, log)
    regions = RegionChecks(pattern.url, log)
    for name, tensor in tensors.items():
        regions.check(name, tensor.shape, tensor.stored)
    return log.report(pattern.url, "V1", tensors, bytes_checked)


def _open(pattern: Location, log: VerifyLog, info: ObjectInfo) -> V1File | None:
    url = pattern.store.url(info.key)
    try:
        return open_file(pattern.store, info)
    except CheckpointDamagedError as error:
        log.add(Finding(FindingKind.INDEX_DAMAGED, message_about(error, url), url))
    except CheckpointVersionError as error:
        log.add(Finding(FindingKind.VERSION_UNSUPPORTED, message_about(error, url), url))
    except (ObjectChangedError, ObjectNotFoundError, ShortReadError) as error:
        log.add(Finding(FindingKind.FILE_CHANGED, message_about(error, url), url))
    return None


def _unite(url: str, files: Sequence[V1File], log: VerifyLog) -> dict[str, V1Tensor]:
    """What the files have together; one that is not of the same save as the others is told."""
    united: dict[str, V1Tensor] = {}
    for file in files:
        for name, tensor in file.tensors.items():
            known = united.setdefault(name, V1Tensor(tensor.dtype, tensor.shape, ()))
            if (known.dtype, known.shape) == (tensor.dtype, tensor.shape):
                united[name] = V1Tensor(known.dtype, known.shape, known.stored + tensor.stored)
            else:
                message = f"tensor {name!r}: it is of another dtype or shape in another of {url}'s files"
                log.add(Finding(FindingKind.SLICE_MISFIT, message, file.url, tensor=name))
    return united
