"""Which saveables go to one shard: those of one device, in the order of the devices' names.

Source: python/training/saver.py, BaseSaverBuilder._GroupByDevices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.variables.graphs.device import DeviceSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.saver.saveable_object import SaveableObject

__all__ = ["group_by_device"]


def group_by_device(saveables: Iterable[SaveableObject]) -> dict[str, list[SaveableObject]]:
    """The saveables of each device, by its canonical name ("/job:ps/task:0/device:CPU:0"), ascending; "" is none.

    Raises:
        InvalidArgumentError: the tensors of one saveable are on several devices.
        ValueError: a device's name is none.
    """
    groups: dict[str, list[SaveableObject]] = {}
    for saveable in saveables:
        found = {DeviceSpec.from_string(spec.device or "").to_string() for spec in saveable.specs}
        if len(found) != 1:
            raise InvalidArgumentError(
                f"all tensors of a saveable object must be on one device, those of {saveable.name!r} are on "
                f"{sorted(found)}"
            )
        groups.setdefault(found.pop(), []).append(saveable)
    return {device: groups[device] for device in sorted(groups)}
