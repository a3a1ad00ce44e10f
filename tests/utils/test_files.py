"""Writing files: one mechanism, for everything that dlfs writes."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

import dlfs
from dlfs import plots
from dlfs.autograd import NumberWithGrad
from dlfs.gradcheck.suite import main as gradcheck
from dlfs.optimizers import SGD
from dlfs.text import Vocabulary, save_writer
from dlfs.train import Trainer
from dlfs.train.history import History
from dlfs.utils.files import check_writable, write_atomically

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def network():
    net = dlfs.NeuralNetwork([dlfs.Dense(2)])
    net.build((2,))
    return net


def checkpoint(path):
    Trainer(network(), SGD()).fit(
        np.ones((4, 2)), np.ones((4, 2)), epochs=1, checkpoint=path, verbose=0
    )


def history():
    made = History()
    made.append({"epoch": 1, "lr": 0.1, "train_loss": 2.0, "seconds": 0.1})
    return made


def drawing(path):
    (NumberWithGrad(2.0) * 3).draw(path)


MATRIX = np.eye(2, dtype=int)

# name: writes a file of this ending
WRITERS = {
    "save": (dlfs.save, "safetensors"),
    "save_writer": (lambda net, path: save_writer(net, Vocabulary("ab"), path), "safetensors"),
    "checkpoint": (lambda _, path: checkpoint(path), "safetensors"),
    "plot_history": (lambda _, path: history().plot(path), "png"),
    "plot_filters": (lambda _, path: plots.plot_filters(np.ones((1, 2, 3, 3)), path), "pdf"),
    "plot_confusion": (lambda _, path: plots.plot_confusion(MATRIX, path=path), "svg"),
    "draw": (lambda _, path: drawing(path), "svg"),
    "gradcheck --json": (lambda _, path: gradcheck(["Linear", "--fast", "--json", str(path)]), "x"),
    "gradcheck --html": (lambda _, path: gradcheck(["Linear", "--fast", "--html", str(path)]), "x"),
}  # fmt: skip


@pytest.fixture(params=WRITERS)
def writer(request):
    """Return a function that writes to a path, and the required ending of the path."""
    write, ending = WRITERS[request.param]
    return (lambda path: write(network(), path)), ending


def test_a_link_is_written_through_and_the_mode_stays(writer, tmp_path):
    write, ending = writer
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / f"link.{ending}"
    target.write_text("old")
    target.chmod(0o604)
    link.symlink_to("far/target")
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() not in (b"", b"old")
    assert stat.S_IMODE(target.stat().st_mode) == 0o604
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["far", link.name, "target"]


def test_what_is_no_regular_file_is_refused_and_stays(writer, tmp_path):
    write, ending = writer
    pipe = tmp_path / f"pipe.{ending}"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"must be a regular file, got a pipe or a device.*pipe"):
        write(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    folder = tmp_path / f"folder.{ending}"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match=r"must be a file, got a folder.*folder"):
        write(folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([pipe.name, folder.name])


@pytest.mark.parametrize("check", [check_writable, lambda path: write_atomically(path, b"new")])
def test_devices_and_links_that_lead_to_them_are_refused(check, tmp_path):
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    for path in (Path("/dev/null"), link):
        with pytest.raises(OSError, match="must be a regular file") as caught:
            check(path)
        assert caught.value.filename == str(path)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("check", [check_writable, lambda path: write_atomically(path, b"new")])
def test_a_place_that_cannot_be_written_gives_an_error_with_its_name(check, tmp_path):
    circle = tmp_path / "circle"
    circle.symlink_to("other")
    (tmp_path / "other").symlink_to("circle")
    (tmp_path / "file").write_text("old")
    for path, match in [
        (circle, "symbolic links"),
        (tmp_path / "file" / "below", "Not a directory"),
        (tmp_path / "nowhere" / "net", "the folder .*nowhere does not exist"),
        (tmp_path / ("n" * 245), "name is too long"),
        (tmp_path / ("n" * 300), "name is too long"),
        (tmp_path, "got a folder"),
    ]:
        with pytest.raises(OSError, match=match) as caught:
            check(str(path))
        assert caught.value.filename == str(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["circle", "file", "other"]
    assert (tmp_path / "file").read_text() == "old"
    circle.unlink()  # not every tool that tidies up can do that


def test_a_link_that_leads_nowhere_yet_gets_its_file(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("new")
    check_writable(link)
    assert not (tmp_path / "new").exists()
    write_atomically(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "new").read_text() == "text"


def test_checking_changes_nothing(tmp_path):
    path = tmp_path / "net"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    check_writable(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o700, 0o4755])
def test_the_mode_of_a_file_stays_whatever_the_umask(mode, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    mask = os.umask(0o077)
    try:
        write_atomically(path, "new")
    finally:
        os.umask(mask)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_secret_file_is_never_readable_for_others_meanwhile(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o600)
    seen = []
    chmod = Path.chmod

    def watched(self, mode):
        seen.append((stat.S_IMODE(self.stat().st_mode), mode))
        chmod(self, mode)

    monkeypatch.setattr(Path, "chmod", watched)
    write_atomically(path, "new")
    assert seen == [(0o600, 0o600)]


UNPRIVILEGED = textwrap.dedent(
    """
    import json, os, pathlib, sys
    import numpy as np
    import dlfs
    from dlfs.utils.files import check_writable

    folder = pathlib.Path(sys.argv[1])
    epochs = []

    class Count(dlfs.Callback):
        def on_epoch_end(self, trainer, row):
            epochs.append(row)

    def outcome(call):
        try:
            call()
        except OSError as error:
            return type(error).__name__
        return "written"

    def fit(path):
        net = dlfs.NeuralNetwork([dlfs.Dense(1)])
        dlfs.Trainer(net, dlfs.SGD()).fit(
            np.ones((4, 1)), np.ones((4, 1)), epochs=1, callbacks=[Count()], checkpoint=path,
            verbose=0,
        )

    net = dlfs.NeuralNetwork([dlfs.Dense(1)])
    net.build((1,))
    # Later imports may not be readable without root's rights.
    fit(folder / "first")
    (folder / "first").unlink()
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    found = {}
    for name in ("read-only/net", "open/read-only", "open/new"):
        path = folder / name
        before = len(epochs)
        calls = [lambda: check_writable(path), lambda: fit(path), lambda: dlfs.save(net, path)]
        found[name] = [*map(outcome, calls), len(epochs) - before]
    print(json.dumps(found))
    """
)


def test_without_rights_writing_is_refused_before_the_training():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "read-only").mkdir(mode=0o555)
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        (folder / "open" / "read-only").write_text("old")
        (folder / "open" / "read-only").chmod(0o444)
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, name],
            capture_output=True,
            check=False,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(dlfs.__file__).parents[1])},
        )
        assert done.returncode == 0, done.stderr
        refused = ["PermissionError", "PermissionError", "PermissionError", 0]
        assert json.loads(done.stdout) == {
            "read-only/net": refused,
            "open/read-only": refused,
            "open/new": ["written", "written", "written", 1],
        }
        assert (folder / "open" / "read-only").read_text() == "old"
        assert sorted(path.name for path in folder.rglob("*")) == [
            "new",
            "open",
            "read-only",
            "read-only",
        ]


HOLDS = textwrap.dedent(
    """
    import os, sys, time
    os.fsync = lambda descriptor: (print("holding", flush=True), time.sleep(600))
    from dlfs.utils.files import write_atomically
    write_atomically(sys.argv[1], "half")
    """
)


def test_what_a_killed_writer_left_goes_at_the_next_save_and_no_sooner(tmp_path):
    path = tmp_path / "net"
    environment = os.environ | {"PYTHONPATH": str(Path(dlfs.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, env=environment
    ) as child:
        try:
            child.stdout.readline()
            (held,) = tmp_path.iterdir()
            write_atomically(path, "first")
            assert set(tmp_path.iterdir()) == {held, path}, "its writer is still there"
        finally:
            child.kill()
    assert set(tmp_path.iterdir()) == {held, path}
    write_atomically(path, "second")
    assert list(tmp_path.iterdir()) == [path]


def test_only_leftovers_of_the_same_target_go(tmp_path):
    path = tmp_path / "net"
    others = [".net.more.0a1b2c3d.tmp", ".other.0a1b2c3d.tmp", ".net.tmp", ".net.0a1b2c3d.tmp2"]
    for name in (".net.0a1b2c3d.tmp", ".net.abc_defg.tmp", *others):
        (tmp_path / name).write_text("x")
    (tmp_path / "precious").write_text("x")
    (tmp_path / ".net.11111111.tmp").symlink_to("precious")
    os.mkfifo(tmp_path / ".net.22222222.tmp")
    (tmp_path / ".net.33333333.tmp").mkdir()
    write_atomically(path, "new")
    kept = [*others, "precious", ".net.11111111.tmp", ".net.22222222.tmp", ".net.33333333.tmp"]
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted(["net", *kept])


def test_leftovers_are_swept_where_a_link_leads(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / ".net.0a1b2c3d.tmp").write_text("x")
    (tmp_path / "link").symlink_to("far/net")
    write_atomically(tmp_path / "link", "new")
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["net"]


@pytest.mark.parametrize(("name", "written"), [("curve", "curve.png"), ("a.PNG", "a.PNG")])
def test_pictures_get_the_ending_that_matplotlib_gives_them(name, written, tmp_path):
    history().plot(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [written]
    assert image.imread(tmp_path / written, format="png").ndim == 3


def test_a_picture_in_no_known_format_changes_nothing(tmp_path):
    path = tmp_path / "curve.unknown"
    path.write_text("old")
    with pytest.raises(ValueError, match="unknown"):
        history().plot(path)
    assert path.read_text() == "old"
