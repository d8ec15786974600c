"""What a state lies on, by the lines that Linux tells of its mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bizrun.cli.main import main
from bizrun.store import medium
from bizrun.store.medium import doubt, kind_of

MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:26 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw
41 21 0:50 / /srv/my\\040data rw,relatime shared:9 master:2 - nfs4 box:/export rw,vers=4.2
42 21 0:51 / /srv rw - ext4 /dev/vdb rw
43 21 0:52 / /mnt/x rw - tmpfs tmpfs rw
44 43 0:53 / /mnt/x rw - xfs /dev/vdc rw
short line
"""
SPEC = 'business "X" { currency USD, bills U }\nentity U { id text key }\n'


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/a/x.db", "ext4"), ("/dev/shm/x.db", "tmpfs"), ("/dev/shmem/x.db", "ext4"),
        ("/srv/my data/deep/x.db", "nfs4"), ("/srv/x.db", "ext4"), ("/mnt/x/y.db", "xfs"),
    ],
)  # fmt: skip
def test_the_innermost_mount_counts(path: str, kind: str) -> None:
    assert kind_of(path, MOUNTS) == kind
    assert kind_of(path, "") == ""


def test_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(medium, "_MOUNTS", str(mounts))
    assert doubt("/dev/shm/x.db") is None  # a system that tells nothing
    mounts.write_text(MOUNTS)
    assert "kept in memory (tmpfs)" in (doubt("/dev/shm/x.db") or "")
    assert "network file system (nfs4)" in (doubt("/srv/my data/x.db") or "")
    assert doubt("/home/a/x.db") is None
    assert doubt(":memory:") is None and doubt("postgresql://h/dev/shm") is None


def test_a_new_state_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 21 0:26 / {tmp_path} rw - tmpfs tmpfs rw\n")
    monkeypatch.setattr(medium, "_MOUNTS", str(mounts))
    monkeypatch.chdir(tmp_path)
    Path("x.biz").write_text(SPEC)
    Path("x.events.jsonl").write_text("")
    for times in (1, 0):
        assert main(["run", "x.biz", "--out", "none"]) == 0
        assert capsys.readouterr().err.count("kept in memory (tmpfs)") == times
