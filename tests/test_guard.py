"""The guard against tests that write outside temporary folders (tests/support/guard.py)."""

import os
import stat
from pathlib import Path

import pytest

from tests.support import guard

HERE = Path(__file__).parent
ATTEMPTS = {
    "open": lambda: (HERE / "new").open("w"),
    "append": lambda: Path(__file__).open("a").close(),
    "os.open": lambda: os.open(HERE / "new", os.O_CREAT | os.O_RDWR),
    "rename to": lambda: Path(__file__).rename(HERE / "new"),
    "replace a device": lambda: Path(__file__).replace("/dev/null"),
    "remove": lambda: Path(__file__).unlink(),
    "folder": (HERE / "new").mkdir,
    "mode": lambda: Path(__file__).chmod(0o644),
    "link": lambda: (HERE / "new").symlink_to(__file__),
    "time": lambda: os.utime(__file__),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_outside_is_refused_and_remembered(attempt):
    with pytest.raises(PermissionError, match="temporary folders"):
        ATTEMPTS[attempt]()
    assert len(guard.violations) == 1
    guard.violations.clear()
    assert not (HERE / "new").exists()


def test_a_path_relative_to_an_open_folder_is_looked_for_there(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder, allowed in ((tmp_path, True), (HERE, False)):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if allowed:
                os.remove("file", dir_fd=descriptor)
                os.mkdir("folder", dir_fd=descriptor)
            else:
                with pytest.raises(PermissionError):
                    os.remove("test_guard.py", dir_fd=descriptor)
                with pytest.raises(PermissionError):
                    os.mkdir("new", dir_fd=descriptor)
        finally:
            os.close(descriptor)
    assert len(guard.violations) == 2
    guard.violations.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_link_that_leads_outside_is_no_way_out(tmp_path):
    (tmp_path / "link").symlink_to(HERE / "new")
    with pytest.raises(PermissionError):
        (tmp_path / "link").open("w")
    guard.violations.clear()


@pytest.mark.parametrize("target", ["link", "/dev/null", __file__, HERE, "nowhere"])
def test_a_link_may_be_moved_and_removed_wherever_it_leads(target, tmp_path):
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "link").rename(tmp_path / "other")
    (tmp_path / "other").unlink()
    assert not guard.violations


def test_a_name_in_a_folder_that_a_link_leads_to_is_looked_for_there(tmp_path):
    (tmp_path / "link").symlink_to(HERE)
    with pytest.raises(PermissionError):
        (tmp_path / "link" / "test_guard.py").unlink()
    assert len(guard.violations) == 1
    guard.violations.clear()


def test_temporary_folders_and_reading_are_free(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").rename(tmp_path / "other")
    assert Path(__file__).read_text()
    with Path("/dev/null").open("w") as device:
        device.write("x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert not guard.violations
