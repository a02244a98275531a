"""Which names in a directory are those of a checkpoint's files, and of what saves leave behind."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudckpt.bundle.naming import parse_data_filename
from cloudckpt.checkpoint.prefix import INDEX_SUFFIX
from cloudckpt.state.state_file import STATE_FILENAME
from cloudckpt.state.steps import step_of
from cloudckpt.storage.s3.probe import PROBE_PREFIX

__all__ = ["BaseName", "is_tensorflow_part", "tensorflow_folder", "tensorflow_temporary", "upload_of"]

_PART = re.compile(r"(?P<prefix>.+)\.part-[0-9]{5}-of-[0-9]{5}", re.DOTALL)
_PART_FILE = re.compile(r"part-[0-9]{5}-of-[0-9]{5}\.(?:index|data-[0-9]{5}-of-[0-9]{5})(?:\.tempstate[0-9]{1,20})?")
_FOLDER = re.compile(r"(?P<prefix>[^/]+)_temp(?:_[0-9a-f]{32})?/", re.DOTALL)
_TEMPSTATE = re.compile(r"(?P<file>[^/]+)\.tempstate[0-9]{1,20}", re.DOTALL)
_TMP = re.compile(r"(?P<prefix>[^/]+)\.meta\.tmp[0-9a-f]{32}", re.DOTALL)
_V1_SHARD = re.compile(r"(?P<prefix>.+)-[0-9]{5}-of-[0-9]{5}", re.DOTALL)
_SIDE_SUFFIX = ".meta"


@dataclass(frozen=True, slots=True)
class BaseName:
    """Whose files are looked at: those of one base name, or all."""

    name: str | None

    def covers(self, prefix: str) -> bool:
        """Whether a checkpoint of that name in the directory is one of them.

        On S3 TensorFlow writes the parts of a sharded save under names of their own, beside the checkpoint to be.
        """
        if self.name is None:
            return True
        part = _PART.fullmatch(prefix)
        whole = part["prefix"] if part else prefix
        return whole == self.name or step_of(whole, self.name) is not None


def tensorflow_folder(path: str) -> tuple[str, str] | None:
    """The folder, with its "/", and the prefix that it is for, of a path in a folder for TensorFlow's sharded saves.

    Sources: python/checkpoint/functional_saver.py and python/training/saver.py (`<prefix>_temp/part-…`; before
    TensorFlow 2.4 `<prefix>_temp_<hex>/part-…`).
    """
    match = _FOLDER.match(path)
    return (match[0], match["prefix"]) if match else None


def is_tensorflow_part(name: str) -> bool:
    """Whether a file in such a folder is one that TensorFlow put there."""
    return _PART_FILE.fullmatch(name) is not None


def tensorflow_temporary(name: str) -> str | None:
    """The prefix whose file a temporary of TensorFlow's was to be; None for other names.

    Sources: core/util/tensor_bundle/tensor_bundle.cc and core/util/tensor_slice_writer.cc (`.tempstate` and a number of
    64 bits), python/lib/io/file_io.py (`.tmp` and 32 hexadecimal digits).
    """
    if match := _TEMPSTATE.fullmatch(name):
        return _prefix_of(match["file"]) or _v1_prefix(match["file"])
    match = _TMP.fullmatch(name)
    return match and match["prefix"]


def upload_of(name: str, *, is_ours: bool) -> str | None:
    """The prefix of a checkpoint whose file of that name an upload was to be; "" if it was to be none's.

    Args:
        name: of that file.
        is_ours: whether no other program can have begun it. Else None where the name is not one that only saves make.
    """
    if name == STATE_FILENAME or (is_ours and name.startswith(PROBE_PREFIX)):
        return ""
    return _prefix_of(name) or (_v1_prefix(name) if is_ours else None)


def _prefix_of(name: str) -> str | None:
    if (parsed := parse_data_filename(name)) is not None:
        return parsed[0]
    for suffix in (INDEX_SUFFIX, _SIDE_SUFFIX):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return None


def _v1_prefix(name: str) -> str:
    match = _V1_SHARD.fullmatch(name)
    return match["prefix"] if match else name
