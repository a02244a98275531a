"""Disks that other machines share."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from crc32c import crc32c

import cloudckpt as ckpt
from cloudckpt.errors import CheckpointDamagedError, ObjectChangedError, StorageError
from cloudckpt.storage.local import folder as local_folder
from cloudckpt.storage.local import network as local_network
from cloudckpt.storage.local.network import LOCK_NAME, is_network_disk
from cloudckpt.storage.local.store import LocalStore
from cloudckpt.storage.store import Always, IfVersion

MOUNT = "36 35 {major}:{minor} / /mnt rw,noatime shared:1 - {kind} server:/export rw\n"


@pytest.fixture
def mounted(monkeypatch, tmp_path):
    """Let the disk of the temporary folder be of the kind given."""

    def mount(kind):
        device = os.stat(tmp_path).st_dev
        table = tmp_path / "mountinfo"
        lines = [MOUNT.format(major=0, minor=99999, kind="nfs4")]
        lines.append(MOUNT.format(major=os.major(device), minor=os.minor(device), kind=kind))
        table.write_text("".join(lines))
        monkeypatch.setattr(local_network, "_MOUNTS", str(table))
        local_network._is_network_device.cache_clear()

    yield mount
    local_network._is_network_device.cache_clear()


@pytest.mark.parametrize(
    ("kind", "network"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False)]
)
def test_the_kind_of_the_disk_decides(mounted, tmp_path, kind, network):
    mounted(kind)
    with local_folder.folder_open(str(tmp_path)) as folder:
        assert is_network_disk(folder) is network


def test_without_mountinfo_a_disk_is_local(monkeypatch, mounted, tmp_path):
    mounted("nfs4")
    monkeypatch.setattr(local_network, "_MOUNTS", str(tmp_path / "nothing"))
    with local_folder.folder_open(str(tmp_path)) as folder:
        assert not is_network_disk(folder)


def test_on_a_network_disk_a_hidden_lock_file_stays_and_is_not_listed(mounted, tmp_path):
    mounted("nfs4")
    store, key = LocalStore(), f"{tmp_path}/run/object"
    version = store.put(key, b"old", Always(), crc32c=crc32c(b"old")).version
    store.put(key, b"new", IfVersion(version), crc32c=crc32c(b"new"))
    assert sorted(os.listdir(tmp_path / "run")) == [LOCK_NAME, "object"]
    assert [info.key for info in store.list(f"{tmp_path}/run/")] == [key]
    assert list(store.list(f"{tmp_path}/run/.")) == []


def test_another_machine_is_waited_for(mounted, tmp_path):
    """Another machine is played by a process that holds only the lock which network disks carry."""
    mounted("nfs4")
    store, key = LocalStore(), f"{tmp_path}/object"
    version = store.put(key, b"old", Always(), crc32c=crc32c(b"old")).version
    program = (
        "import fcntl, os, sys\n"
        "fd = os.open(sys.argv[1] + '/.cloudckpt.lock', os.O_RDWR)\n"
        "fcntl.lockf(fd, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.readline()\n"
        "open(sys.argv[1] + '/order', 'a').write('theirs ')\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], **pipes) as process:
        assert process.stdout.readline() == b"locked\n"
        process.stdin.write(b"go on\n")
        process.stdin.flush()
        store.put(key, b"new", IfVersion(version), crc32c=crc32c(b"new"))
        with open(tmp_path / "order", "a") as order:
            order.write("ours")
    assert (tmp_path / "order").read_text() == "theirs ours"


# Handles that went stale: another machine has replaced or removed the file, or the server was restarted.


@pytest.fixture
def stale(monkeypatch):
    """Let the first calls of a function of `os` fail, so many; between them another machine may act."""

    def fail(name, times, another_machine=lambda: None):
        original, left = getattr(os, name), [times]

        def call(*args, **kwargs):
            if left[0]:
                left[0] -= 1
                another_machine()
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return original(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    return fail


def test_a_file_that_is_still_there_is_opened_again(stale, tmp_path):
    ckpt.save(tmp_path / "ckpt", {"w": np.arange(5)})
    stale("preadv", 1)
    assert ckpt.load(tmp_path / "ckpt")["w"].tolist() == [0, 1, 2, 3, 4]
    stale("stat", 1)
    assert ckpt.load(tmp_path / "ckpt")["w"].tolist() == [0, 1, 2, 3, 4]
    stale("scandir", 1)
    assert ckpt.load(tmp_path / "ckpt")["w"].tolist() == [0, 1, 2, 3, 4]


def test_p11_a_checkpoint_that_another_machine_replaced_is_read_anew(stale, tmp_path):
    ckpt.save(tmp_path / "ckpt", {"w": np.arange(5)})
    stale("preadv", 2, lambda: ckpt.save(tmp_path / "ckpt", {"w": np.arange(3)}))
    assert ckpt.load(tmp_path / "ckpt")["w"].tolist() == [0, 1, 2]


def test_p11_it_is_damage_only_if_the_same_index_comes_back(stale, tmp_path):
    ckpt.save(tmp_path / "ckpt", {"w": np.arange(5)})
    stale("preadv", 99)
    with pytest.raises(CheckpointDamagedError, match="another machine replaced or removed it"):
        ckpt.load(tmp_path / "ckpt")


@pytest.mark.parametrize(("name", "error"), [("scandir", ObjectChangedError), ("stat", ObjectChangedError)])
def test_p4_a_directory_that_can_not_be_looked_at_is_not_empty(stale, tmp_path, name, error):
    with ckpt.CheckpointManager(tmp_path / "run") as manager:
        manager.save(1, {"w": np.arange(5)})
        stale(name, 99)
        for recover in (manager.latest_step, manager.restore_latest, manager.all_steps):
            with pytest.raises(StorageError) as failure:
                recover()
            assert isinstance(failure.value, error)
