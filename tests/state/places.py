"""A fresh directory on each kind of store, by a URL that any function takes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from fsspec import register_implementation
from fsspec.implementations.local import LocalFileSystem

from cloudckpt.checksums import crc32c
from cloudckpt.storage.open import Location, open_location
from cloudckpt.storage.store import Always

CONDITIONAL = ["local", "memory", "minio", "moto_s3", "fake_gcs"]
"""Stores that tell two writers apart."""
STORES = [*CONDITIONAL, "filesystem"]


class PlainDisk(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A filesystem of which fsspec alone knows, so that nothing is written on a condition."""

    protocol = "plaindisk"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = super()._strip_protocol(path.removeprefix("plaindisk://"))
        return stripped


register_implementation("plaindisk", f"{__name__}.PlainDisk", clobber=True)


@dataclass(frozen=True)
class Place:
    """A directory that no other test uses."""

    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def __truediv__(self, name: str) -> str:
        return f"{self.url}/{name}"

    def open(self) -> Location:
        return open_location(self.url, self.options)

    @property
    def files(self) -> list[str]:
        """The names of its files."""
        with self.open() as directory:
            folder = directory.child("").key
            return [info.key.removeprefix(folder) for info in directory.store.list(folder)]

    def write(self, name: str, data: bytes = b"x") -> None:
        with self.open() as directory:
            directory.store.put(directory.child(name).key, data, Always(), crc32c=crc32c(data))

    def read(self, name: str) -> bytes:
        with self.open() as directory:
            return directory.store.get(directory.child(name).key)[0]


def fresh_place(kind: str, request: pytest.FixtureRequest) -> Place:
    """A directory on a kind of store."""
    name = uuid.uuid4().hex
    if kind == "local":
        return Place(str(request.getfixturevalue("tmp_path") / "run"))
    if kind == "memory":
        return Place(f"memory://{name}/run")
    if kind == "filesystem":
        return Place(f"plaindisk://{request.getfixturevalue('tmp_path')}/run")
    server = request.getfixturevalue(kind)
    return Place(server.fresh_url(), server.storage_options)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest) -> Place:
    return fresh_place(request.param, request)


@pytest.fixture
def memory(request: pytest.FixtureRequest) -> Place:
    return fresh_place("memory", request)
