"""What a state's file lies on: where a commit would not last, that is told (RELIABILITY.md, 3)."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path

from .postgres_address import is_postgres, shown

_MEMORY = frozenset(("tmpfs", "ramfs"))
# Write-ahead logging shares memory between processes, which a network file system has none of, and
# many of them only seem to lock (SQLite: "Write-Ahead Logging", "How To Corrupt").
_NETWORK = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gfs2",
    "ocfs2", "beegfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs",
    "fuse.ceph", "fuse.blobfuse", "fuse.mountpoint-s3",
))  # fmt: skip
_MOUNTS = "/proc/self/mountinfo"


def doubt(address: str) -> str | None:
    """Why a state at an address may not outlast its machine, as a sentence; None where nothing
    speaks against it, or where the system doesn't tell what it lies on."""
    if address == ":memory:" or is_postgres(address):
        return None
    try:
        mounts = Path(_MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    kind = kind_of(os.path.realpath(address), mounts)
    if kind in _MEMORY:
        return (
            f"{shown(address)} is kept in memory ({kind}): it is gone when the machine stops. Give "
            "--state a file on a disk."
        )
    if kind in _NETWORK:
        return (
            f"{shown(address)} is on a network file system ({kind}), where a commit may be lost or "
            "two machines may write at once. Give --state a local file, or postgresql://…."
        )
    return None


def kind_of(path: str, mounts: str) -> str:
    """The type of the file system that an absolute path lies on, by the lines of Linux's mountinfo
    (proc_pid_mountinfo(5)); of two at one place, the later covers the other. Empty: not known."""
    best, kind = "", ""
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields, types = head.split(" "), tail.split(" ")
        if len(fields) < 5:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        if len(point) >= len(best) and posixpath.commonpath((point, path)) == point:
            best, kind = point, types[0]
    return kind
