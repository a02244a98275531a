"""Machines with a disk each, before one bucket: for the tests of two tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudckpt.manager.directory.tier import Tier
from cloudckpt.manager.reporting.observer import Observer
from cloudckpt.manager.tiers.two_tiers import TwoTiers
from cloudckpt.objects.trees.load import load_tree
from cloudckpt.objects.trees.save import tensors_of
from cloudckpt.state.policies import Latest
from cloudckpt.storage.location import Location
from tests.manager.runs import MemoryRun, same, tree

if TYPE_CHECKING:
    from cloudckpt.checkpoint.prefix import PrefixFiles
    from cloudckpt.storage.store import Store


class Machine:
    """One machine's disk, and the job on it, which can be killed and started again.

    Args:
        bucket: that all machines share.
        disk: the folder; a new one by default.
        local_store: in place of the disk's own.
        bucket_store: in place of the bucket's own.
        local_keep: how many steps the disk keeps.
        bucket_keep: how many the bucket keeps.
        folder: of the bucket.
        options: of `TwoTiers`; by default nothing runs in the background.
    """

    def __init__(
        self,
        bucket: MemoryRun,
        disk: MemoryRun | None = None,
        *,
        local_store: Store | None = None,
        bucket_store: Store | None = None,
        local_keep: int | None = 3,
        bucket_keep: int | None = None,
        folder: str = "run",
        **options: Any,
    ) -> None:
        self.bucket, self.disk = bucket, disk or MemoryRun()
        self._local = Location(local_store or self.disk.store, "run")
        remote = Location(bucket_store or bucket.store, folder)
        self.told: list[Any] = []
        self.tiers = TwoTiers(
            Tier(self._local, "ckpt", keep=Latest(local_keep)),
            Tier(remote, "ckpt", keep=Latest(bucket_keep)),
            observer=Observer(self.told.append),
            **{"in_background": False, **options},
        )

    def again(self, **options: Any) -> Machine:
        """The job started again on the same disk."""
        return Machine(self.bucket, self.disk, **options)

    def save(self, *steps: int, line: str = "first", **options: Any) -> Machine:
        for step in steps:
            self.tiers.save(step, tensors_of(tree(step, line)), **options)
        return self

    def newest(self) -> tuple[int, str] | None:
        """The step, and of which line of training, that the job goes on from."""
        found = self.tiers.newest(self._load)
        return None if found is None else (found[0], found[1][1])

    def newest_is_from_disk(self) -> bool:
        """Whether what the job goes on from is read from its disk."""
        found = self.tiers.newest(self._load)
        assert found is not None
        return found[1][0]

    def restore(self, step: int) -> str:
        return self.tiers.restore(step, self._load)[1]

    def _load(self, prefix: Location, files: PrefixFiles | None) -> tuple[bool, str]:
        loaded = load_tree(prefix, files=files)
        assert same(loaded, tree(loaded["step"], loaded["line"]))
        return prefix.store is self._local.store, loaded["line"]
