"""What programs do to the files below a folder, recorded as the changes of `power_cut`'s disk."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.faults.power_cut import PAGE, Bytes, Change, Disk, Event, Flush, Names, Said, Size
from tests.faults.system_calls import CHANGING, Call, handed_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Recorder:
    """Records what happens below a folder. What is there before is durable.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: str) -> None:
        self.events: list[Event] = []
        self._folder = folder
        self._lock = threading.Lock()
        self._numbers = count()
        self._inodes: dict[tuple[int, int], int] = {}
        self._number(os.stat(folder))
        self._take(folder, 0)
        self.events += [Flush(inode) for inode in self._inodes.values()]
        self.first = len(self.events)
        """the number of the first event that is not of the past"""

    def say(self, text: str) -> None:
        """Tell the program something that it may rely on."""
        self.events.append(Said(text))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what the block does; afterwards the model must hold what the disk does."""
        with handed_to(self._handle, self._folder, CHANGING):
            yield
        changes = [event for event in self.events if isinstance(event, Change)]
        held = {path: data for path, (data, _) in Disk(changes).tree().items()}
        assert held == contents(self._folder)

    def _take(self, folder: str, inode: int) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            status = entry.stat()
            below = self._number(status)
            self._names(inode, {entry.name: below})
            if entry.is_dir():
                self._names(below, {})
                self._take(entry.path, below)
            else:
                with open(entry.path, "rb") as file:
                    self._bytes(below, [file.read()], 0, max(status.st_mtime_ns, status.st_ctime_ns))

    def _handle(self, call: Call) -> Any:
        if call.name == "flock":
            return call.perform()
        with self._lock:  # what is done in one order is recorded in the same
            created = call.name == "open" and not _exists(*call.args, **call.kwargs)
            done = None if call.name == "fsync" else call.perform()  # a real flush would only take time
            if call.name == "open" and created:
                self._opened(done, *call.args, **call.kwargs)
            elif call.name != "open":
                getattr(self, f"_after_{call.name}")(done, *call.args, **call.kwargs)
            return done

    def _number(self, status: os.stat_result, *, new: bool = False) -> int:
        """The number of a file here; the system may give that of a deleted one to a new one."""
        inode = (status.st_dev, status.st_ino)
        if new or inode not in self._inodes:
            self._inodes[inode] = next(self._numbers)
        return self._inodes[inode]

    def _place(self, path: str, dir_fd: int | None) -> tuple[int, str]:
        """The number of the folder that a path is in, and its name there."""
        if dir_fd is not None:
            return self._number(os.fstat(dir_fd)), path
        return self._number(os.stat(os.path.dirname(path))), os.path.basename(path)

    def _names(self, folder: int, names: dict[str, int | None]) -> None:
        self.events.append(Names(inode=folder, time=time.time_ns(), names=names))

    def _bytes(self, inode: int, views: Sequence[Any], offset: int, at: int) -> None:
        data, end = b"".join(views), offset
        self.events.append(Size(inode=inode, time=at, size=0))
        while end < offset + len(data):
            start, end = end, min(offset + len(data), (end // PAGE + 1) * PAGE)
            self.events.append(Bytes(inode=inode, time=at, offset=start, data=data[start - offset : end - offset]))

    def _opened(self, descriptor: int, path: str, flags: int, mode: int = 0, *, dir_fd: int | None = None) -> None:
        folder, name = self._place(path, dir_fd)
        self._names(folder, {name: self._number(os.fstat(descriptor), new=True)})

    def _after_mkdir(self, done: None, path: str, *mode: int) -> None:
        folder, name = self._place(path, None)
        made = self._number(os.stat(path), new=True)
        self._names(made, {})
        self.events.append(Flush(made))  # that it is a folder is part of its name
        self._names(folder, {name: made})

    def _after_posix_fallocate(self, done: None, descriptor: int, offset: int, size: int) -> None:
        self.events.append(Size(inode=self._of(descriptor), time=time.time_ns(), size=offset + size))

    def _after_pwritev(self, done: int, descriptor: int, views: Sequence[Any], offset: int) -> None:
        data = b"".join(views)[:done]
        self._bytes(self._of(descriptor), [data], offset, time.time_ns())

    def _after_copy_file_range(self, done: int, source: int, target: int, size: int, start: int, offset: int) -> None:
        self._bytes(self._of(target), [os.pread(source, done, start)], offset, time.time_ns())

    def _after_utime(self, done: None, descriptor: int, *, ns: tuple[int, int] | None = None) -> None:
        self.events.append(Change(inode=self._of(descriptor), time=time.time_ns()))

    def _after_fsync(self, done: None, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) in self._inodes:  # those above are none of this disk's
            self.events.append(Flush(self._number(status)))

    def _after_link(
        self, done: None, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        folder, name = self._place(target, dst_dir_fd)
        self._names(folder, {name: self._number(os.stat(source, dir_fd=src_dir_fd))})

    def _after_rename(
        self, done: None, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        (left, old), (folder, name) = self._place(source, src_dir_fd), self._place(target, dst_dir_fd)
        assert left == folder, "a rename from one folder to another is no single step on every disk"
        self._names(folder, {old: None, name: self._number(os.stat(target, dir_fd=dst_dir_fd))})

    def _after_unlink(self, done: None, path: str, *, dir_fd: int | None = None) -> None:
        folder, name = self._place(path, dir_fd)
        self._names(folder, {name: None})

    def _of(self, descriptor: int) -> int:
        return self._number(os.fstat(descriptor))


def _exists(path: str, flags: int, mode: int = 0, *, dir_fd: int | None = None) -> bool:
    """Whether a file that is about to be opened is there."""
    try:
        os.stat(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


def contents(folder: str) -> dict[str, bytes | None]:
    """The paths below a folder, with the bytes of files; None for folders."""
    found: dict[str, bytes | None] = {}
    for path, folders, files in os.walk(folder):
        found |= {os.path.relpath(os.path.join(path, name), folder): None for name in folders}
        for name in files:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.relpath(os.path.join(path, name), folder)] = file.read()
    return found
