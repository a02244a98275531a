"""What other state files of a directory name: savers with state files of their own save there, too."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from cloudckpt.bundle.naming import index_filename, parse_data_filename
from cloudckpt.errors import ObjectNotFoundError, StateFileError
from cloudckpt.state.state_file import decode_state, last_component

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudckpt.storage.location import Location
    from cloudckpt.storage.store import ObjectInfo

__all__ = ["OtherStates"]

logger = logging.getLogger(__name__)

LARGEST = 1 << 20
"""Bytes that a file may have to be taken for a state file: one that names 10,000 checkpoints."""
MOST_LOOKED_AT = 32
"""How many files that may be one are read at most, the youngest: a state file in use is written at each save."""

_STATE = re.compile(rb"(\s|#[^\n]*\n)*(model_checkpoint_path|all_model_checkpoint_\w+|last_preserved_timestamp)\s*:")
"""How a state file begins."""


class OtherStates:
    """Reads the state files of a directory but one; what has not changed since is not read again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        """what a file names, by its key and version; nothing if it is no state file"""

    def names(self, directory: Location, listing: Iterable[ObjectInfo], own: str) -> frozenset[str]:
        """The last components of the paths of all checkpoints that state files other than `own` name.

        Args:
            directory: the directory.
            listing: its files.
            own: the name of the state file that is left out.

        Raises:
            StorageError: the store failed.

        Cost: a GET for each file that may be one and has changed since the last call.
        """
        possible = [info for info in listing if info.key != directory.child(own).key and _may_be_state(info)]
        possible.sort(key=lambda info: info.modified, reverse=True)
        read = {(info.key, info.version): self._names(directory, info) for info in possible[:MOST_LOOKED_AT]}
        self._known = read
        return frozenset().union(*read.values())

    def _names(self, directory: Location, info: ObjectInfo) -> frozenset[str]:
        known = self._known.get((info.key, info.version))
        return _read_names(directory, info) if known is None else known


def _may_be_state(info: ObjectInfo) -> bool:
    name = last_component(info.key)
    # TensorBoard's logs grow all the time, so they would be read each time.
    is_another = name.endswith((index_filename(""), ".meta")) or ".tfevents." in name
    return 0 < info.size <= LARGEST and not is_another and parse_data_filename(name) is None


def _read_names(directory: Location, info: ObjectInfo) -> frozenset[str]:
    with suppress(ObjectNotFoundError, StateFileError):
        data, _ = directory.store.get(info.key)
        if _STATE.match(data):
            state = decode_state(data, directory.store.url(info.key))
            return frozenset(map(last_component, (state.latest, *state.paths))) - {""}
    return frozenset()
