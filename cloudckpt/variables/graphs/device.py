"""Device names: what TensorFlow's Python makes of them, and how nested ones are merged (framework/device_spec.py)."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any

__all__ = ["DeviceSpec", "device_string", "merged_device"]

_TYPES = frozenset({"CPU", "GPU", "TPU", "CUSTOM", "EPU"})
"""Device types that may stand without "device:" before them, in any case."""


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device by parts, each of which may be left open.

    Attributes:
        job: the name of a job, such as "ps".
        replica: the number of a replica.
        task: the number of a task of the job.
        device_type: such as "CPU".
        device_index: which of that type.
    """

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None

    @staticmethod
    def from_string(spec: str) -> DeviceSpec:
        """The parts of a name such as "/job:ps/task:0/cpu:1" or "/device:GPU:*".

        Raises:
            ValueError: a part is none that a device has, a number is none, or there are two device types.
        """
        return _parsed(spec)

    def to_string(self) -> str:
        """The name as TensorFlow's graphs have it, such as "/job:ps/task:0/device:CPU:1"."""
        parts = [f"/{name}:{value}" for name, value in self._places() if value is not None]
        if self.device_type is not None:
            parts.append(f"/device:{self.device_type}:{'*' if self.device_index is None else self.device_index}")
        return "".join(parts)

    def _places(self) -> tuple[tuple[str, str | int | None], ...]:
        return (("job", self.job), ("replica", self.replica), ("task", self.task))

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """This one, with each part that `dev` says replaced by what it says."""
        pairs = zip(astuple(dev), astuple(self), strict=True)
        return DeviceSpec(*(outer if inner is None else inner for inner, outer in pairs))


@lru_cache(maxsize=1024)
def merged_device(outer: str, inner: str) -> str:
    """The device of an operation that was to be on `inner`, within a scope that says `outer`: the inner one counts.

    Raises:
        ValueError: as `DeviceSpec.from_string`.
    """
    return _parsed(outer).make_merged_spec(_parsed(inner)).to_string()


@lru_cache(maxsize=1024)
def _parsed(spec: str) -> DeviceSpec:
    parts: dict[str, str | int | None] = {}
    for part in filter(None, spec.split("/")):
        match part.split(":"):
            case ["job", job]:
                parts["job"] = job
            case [("replica" | "task") as place, number]:
                parts[place] = _number(number, spec)
            case [kind, *index] if kind.upper() in _TYPES and len(index) <= 1:
                _set_type(parts, kind.upper(), *index, spec=spec)
            case ["device", kind, index]:
                _set_type(parts, kind.upper() if kind in ("cpu", "gpu") else kind, index, spec=spec)
            case _:
                raise ValueError(f"{part!r} in {spec!r} is no part of a device's name, such as '/job:ps/task:0/cpu:1'")
    return DeviceSpec(**parts)  # type: ignore[arg-type]  # each part was set to its own type


def _set_type(parts: dict[str, str | int | None], kind: str, index: str = "*", *, spec: str) -> None:
    if "device_type" in parts:
        raise ValueError(f"the device {spec!r} has two types, {parts['device_type']} and {kind}")
    parts["device_type"] = kind
    parts["device_index"] = None if index == "*" else _number(index, spec)


def _number(text: str, spec: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} in the device {spec!r} is no number") from None


def device_string(device: Any) -> str:
    """The name of a device that a caller gives as its name, or as a `DeviceSpec`, ours or TensorFlow's.

    Raises:
        TypeError: it is neither.
    """
    text = device.to_string() if hasattr(device, "to_string") else device
    if not isinstance(text, str):
        raise TypeError(f"a device is a name such as '/job:ps/task:0/cpu:1', or a DeviceSpec, not {device!r}")
    return text
