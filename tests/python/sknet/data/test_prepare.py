"""`sknet prepare`: what is in the databases, and what is refused."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import lmdb
import numpy as np
import pytest
from google.protobuf import text_format
from photographs import CLASSES, write_ilsvrc
from PIL import Image

import caffe
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.data.class_map import read_class_list
from sknet.data.image_files import scan_train, scan_val, shuffled
from sknet.data.prepare import build
from sknet.evaluation import open_source


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory):
    """Six training and two validation images of each class."""
    return write_ilsvrc(tmp_path_factory.mktemp("ilsvrc"), train=6, val=2)


@pytest.fixture
def copy(tmp_path):
    """A data set to damage."""
    return write_ilsvrc(tmp_path / "ilsvrc", train=3, val=1)


def entries(folder):
    """{key: Datum}, read with LMDB's own library."""
    with (
        lmdb.open(str(folder), readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        return {
            key.decode(): caffe_pb2.Datum.FromString(value)
            for key, value in transaction.cursor()
        }


def prepare(root, out, *more):
    return main(
        [
            *("prepare", "imagenet", "--train", str(root / "train")),
            *("--val", str(root / "val"), "--val-labels", str(root / "val.txt")),
            *("--out", str(out), *map(str, more)),
        ]
    )


def test_files_are_stored_as_they_are(ilsvrc, tmp_path, capsys):
    assert prepare(ilsvrc, tmp_path) == 0
    assert "2 classes: 12 training and 4 validation images" in capsys.readouterr().out
    for part, count in (("train", 12), ("val", 4)):
        stored = entries(tmp_path / f"{part}_lmdb")
        assert len(stored) == count
        for number, (key, datum) in enumerate(stored.items()):
            index, _, name = key.partition("_")
            assert int(index) == number
            path = ilsvrc / part / name
            assert datum.data == path.read_bytes()
            assert datum.encoded
            with Image.open(path) as image:
                assert (datum.width, datum.height) == image.size
            assert datum.channels == 3
            if part == "train":
                assert list(CLASSES)[datum.label] == path.parent.name
    record = json.loads((tmp_path / "val_lmdb" / "classes.json").read_text())
    assert record["classes"] == list(CLASSES)
    assert record["images"] == 4
    assert sorted(p.name for p in (tmp_path / "val_lmdb").iterdir()) == [
        "classes.json",
        "data.mdb",
    ]


def test_the_engine_reads_them(ilsvrc, tmp_path):
    prepare(ilsvrc, tmp_path)
    definition = text_format.Parse(
        f"""layer {{
          name: "data" type: "Data" top: "data" top: "label"
          data_param {{ source: "{tmp_path}/val_lmdb" batch_size: 4 backend: LMDB }}
          transform_param {{ crop_size: 48 force_color: true }}
        }}""",
        caffe_pb2.NetParameter(),
    )
    net = caffe.Net(definition, caffe.TEST)
    net.forward()
    lines = (ilsvrc / "val.txt").read_text().split()
    assert net.blobs["label"].data.tolist() == [int(label) for label in lines[1::2]]


def test_order_depends_on_the_seed_alone(ilsvrc, tmp_path):
    keys = []
    for number, options in enumerate(
        [["--workers", 1], ["--workers", 3], ["--seed", 2]]
    ):
        prepare(ilsvrc, tmp_path / str(number), *options)
        keys.append(list(entries(tmp_path / str(number) / "train_lmdb")))
    assert keys[0] == keys[1]
    assert sorted(k[9:] for k in keys[0]) == sorted(k[9:] for k in keys[2])
    assert keys[0] != keys[2]
    assert [k[9:] for k in keys[0]] != sorted(k[9:] for k in keys[0])
    # Part of a data set keeps its order.
    _, images = scan_train(ilsvrc / "train")
    order = [image.name for image in shuffled(images, 1)]
    part = [image.name for image in shuffled(images[::2], 1)]
    assert part == [name for name in order if name in part]


def test_all_layouts_of_val_are_the_same(ilsvrc, tmp_path):
    classes, _ = scan_train(ilsvrc / "train")
    lines = (ilsvrc / "val.txt").read_text().splitlines()
    labels = dict(line.split() for line in lines)
    folders = tmp_path / "folders"
    by_class = tmp_path / "by_class.txt"
    by_class.write_text(
        "".join(f"{name} {list(CLASSES)[int(i)]}\n" for name, i in labels.items())
    )
    for name, label in labels.items():
        target = folders / list(CLASSES)[int(label)] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ilsvrc / "val" / name).read_bytes())
    archives = {}
    for name, root in (("flat", ilsvrc / "val"), ("folders", folders)):
        archives[name] = tmp_path / f"{name}.tar"
        with tarfile.open(archives[name], "w") as archive:
            archive.add(root, "val")
    want = None
    for number, (path, labels_file) in enumerate(
        [
            (ilsvrc / "val", ilsvrc / "val.txt"),
            (ilsvrc / "val", by_class),
            (folders, None),
            (archives["flat"], ilsvrc / "val.txt"),
            (archives["folders"], None),
        ]
    ):
        images = scan_val(path, classes, labels_file)
        build(path, images, classes, tmp_path / str(number))
        got = {
            key.rpartition("/")[2].rpartition("_val_")[2]: datum
            for key, datum in entries(tmp_path / str(number)).items()
        }
        want = want or got
        assert got == want
    assert len(want) == 4
    for name, label in labels.items():
        datum = want[name.rpartition("_val_")[2]]
        assert datum.label == int(label)
        assert datum.data == (ilsvrc / "val" / name).read_bytes()


def cmyk(path):
    image = Image.fromarray(np.full((40, 50, 4), (20, 90, 160, 40), np.uint8), "CMYK")
    image.save(path, "JPEG")


def png(path):
    Image.fromarray(np.full((40, 50, 3), (200, 100, 50), np.uint8)).save(path, "PNG")


def grey(path):
    Image.fromarray(np.full((40, 50), 77, np.uint8)).save(path, "JPEG")


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("make", [cmyk, png, grey])
def test_the_odd_files_of_imagenet_are_read(copy, tmp_path, make):
    odd = copy / "val" / "ILSVRC2012_val_00000000.JPEG"
    make(odd)
    assert prepare(copy, tmp_path / "out") == 0
    stored = entries(tmp_path / "out" / "val_lmdb")
    datum = stored[f"00000000_{odd.name}"]
    assert datum.data == odd.read_bytes()
    pixels = caffe.io.datum_to_array(datum)
    with Image.open(odd) as image:
        want = np.asarray(image.convert("RGB"))[:, :, ::-1].transpose(2, 0, 1)
    # CMYK has no one conversion: OpenCV and Pillow differ by a few levels.
    assert np.abs(pixels.astype(int) - want).max() <= (3 if make is cmyk else 0)


def test_damaged_images_are_left_out_and_told(copy, tmp_path, capsys):
    whole = (copy / "train" / "n04346328" / "n04346328_0.JPEG").read_bytes()
    (copy / "train" / "n04346328" / "empty.JPEG").touch()
    (copy / "train" / "n11669921" / "cut.JPEG").write_bytes(whole[: len(whole) // 2])
    # Half of it again, closed as if it were all.
    half = whole[: len(whole) // 2] + b"\xff\xd9"
    (copy / "train" / "n11669921" / "half.JPEG").write_bytes(half)
    (copy / "train" / "n11669921" / "notes.jpg").write_text("not an image")
    assert prepare(copy, tmp_path / "out") == 1
    captured = capsys.readouterr()
    folders = {"empty.JPEG": "n04346328"}
    for name in ("empty.JPEG", "cut.JPEG", "half.JPEG", "notes.jpg"):
        assert f"rejected '{folders.get(name, 'n11669921')}/{name}': " in captured.out
    assert "stored 6 of 10 images" in captured.out
    assert "were rejected, see above" in captured.err
    stored = entries(tmp_path / "out" / "train_lmdb")
    assert len(stored) == 6
    # Now complete: the same command tells the same, unless that is allowed.
    assert prepare(copy, tmp_path / "out") == 1
    assert prepare(copy, tmp_path / "out", "--allow-rejects") == 0
    assert "complete already" in capsys.readouterr().out


def test_a_killed_run_is_continued(tmp_path):
    root = write_ilsvrc(tmp_path / "ilsvrc", train=30, val=1)
    out = tmp_path / "out"
    # Commits every fourth image, and dies in the middle of the 3rd commit's work.
    script = f"""
import os, signal, sknet.data.prepare as prepare
from pathlib import Path
from sknet.data.image_files import scan_train, shuffled
prepare._COMMIT_IMAGES = 4
classes, images = scan_train(Path({str(root / "train")!r}))
def report(done, total):
    if done == 14:
        os.kill(os.getpid(), signal.SIGKILL)
prepare.build(Path({str(root / "train")!r}), shuffled(images, 1), classes,
              Path({str(out / "train_lmdb")!r}), report=report)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "train_lmdb").exists()
    assert len(entries(out / "train_lmdb.partial")) == 12

    classes, images = scan_train(root / "train")
    reports = []
    result = build(
        root / "train",
        shuffled(images, 1),
        classes,
        out / "train_lmdb",
        report=lambda done, total: reports.append(done),
    )
    assert (result.resumed, result.written) == (12, 60)
    assert reports[0] == 13
    other = build(root / "train", shuffled(images, 1), classes, out / "whole")
    assert other.resumed == 0
    assert entries(out / "train_lmdb") == entries(out / "whole")


def empty_folder(partial):
    partial.mkdir(parents=True)


def part_of_the_first_file(partial):
    partial.mkdir(parents=True)
    name = (
        ".build-state.01234567-89ab-cdef-0123-456789abcdef-0123456789abcdef.caffe-tmp"
    )
    (partial / name).write_text("database in")


def before_the_first_transaction(partial):
    kill_at("report", partial.with_suffix(""))


def half_a_database(partial):
    before_the_first_transaction(partial)
    (partial / "data.mdb").write_bytes((partial / "data.mdb").read_bytes()[:1000])


def before_the_database(partial):
    before_the_first_transaction(partial)
    for name in ("data.mdb", "lock.mdb"):
        (partial / name).unlink()


def after_the_class_map(partial):
    kill_at("write_record", partial.with_suffix(""))
    assert (partial / "classes.json").exists()


def kill_at(function, database):
    """Kills a run as it reports its second image, or has written the class map."""
    root = database.parent.parent / "ilsvrc" / "train"
    script = f"""
import os, signal, sknet.data.prepare as prepare
from pathlib import Path
from sknet.data.image_files import scan_train, shuffled
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
write = prepare.write_record
def write_record(*arguments, **details):
    write(*arguments, **details)
    kill()
def report(done, total):
    if done == 2 and {function!r} == "report":
        kill()
prepare.write_record = write_record
classes, images = scan_train(Path({str(root)!r}))
prepare.build(Path({str(root)!r}), shuffled(images, 1), classes,
              Path({str(database)!r}), seed=1, report=report)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("moment", "resumed"),
    [
        (empty_folder, 0),
        (part_of_the_first_file, 0),
        (before_the_database, 0),
        (half_a_database, 0),
        (before_the_first_transaction, 0),
        (after_the_class_map, 6),
    ],
)
def test_a_run_killed_at_its_first_or_last_moment(copy, tmp_path, moment, resumed):
    database = tmp_path / "out" / "train_lmdb"
    moment(tmp_path / "out" / "train_lmdb.partial")
    classes, images = scan_train(copy / "train")
    order = shuffled(images, 1)
    result = build(copy / "train", order, classes, database, seed=1)
    assert (result.resumed, result.written) == (resumed, 6)
    assert [path.name for path in database.parent.iterdir()] == ["train_lmdb"]
    assert sorted(path.name for path in database.iterdir()) == [
        "classes.json",
        "data.mdb",
    ]
    build(copy / "train", order, classes, tmp_path / "whole", seed=1)
    assert entries(database) == entries(tmp_path / "whole")
    assert (database / "classes.json").read_text() == (
        tmp_path / "whole" / "classes.json"
    ).read_text()


def test_rejects_before_a_kill_are_remembered(copy, tmp_path, monkeypatch):
    bad = copy / "train" / "n04346328" / "bad.JPEG"
    bad.touch()
    monkeypatch.setattr("sknet.data.prepare._COMMIT_IMAGES", 1)
    classes, images = scan_train(copy / "train")
    images.sort(key=lambda image: "bad" not in image.name)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    database = tmp_path / "lmdb"
    with pytest.raises(KeyboardInterrupt):
        build(copy / "train", images, classes, database, report=stop)
    result = build(copy / "train", images, classes, database)
    assert result.resumed == 3
    assert [name for name, _ in result.rejected] == ["n04346328/bad.JPEG"]
    assert result.written == 6


def test_a_full_disk_is_told_and_nothing_is_lost(ilsvrc, tmp_path):
    out = tmp_path / "out"
    script = f"""
import resource, sys, sknet.data.prepare
from sknet.cli import main
sknet.data.prepare._COMMIT_IMAGES = 2
resource.setrlimit(resource.RLIMIT_FSIZE, (40960, resource.RLIM_INFINITY))
sys.exit(main(["prepare", "imagenet", "--train", {str(ilsvrc / "train")!r},
               "--val", {str(ilsvrc / "val")!r}, "--val-labels",
               {str(ilsvrc / "val.txt")!r}, "--out", {str(out)!r}]))
"""
    full = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert full.returncode == 1
    assert "make room, then run the same command again" in full.stderr
    stored = len(entries(out / "train_lmdb.partial"))
    assert 0 < stored < 12
    assert prepare(ilsvrc, out) == 0
    assert len(entries(out / "train_lmdb")) == 12


def test_files_that_are_no_images_are_passed_over(copy, tmp_path, capsys):
    for name in ("Thumbs.db", ".DS_Store", "._n11669921_0.JPEG", "notes.txt"):
        (copy / "train" / "n11669921" / name).write_text("not an image")
    (copy / "val" / "Thumbs.db").write_text("not an image")
    (copy / "val" / "ILSVRC2012_val_00000000.JPEG").rename(copy / "val" / "a.Png")
    lines = (copy / "val.txt").read_text()
    (copy / "val.txt").write_text(
        lines.replace("ILSVRC2012_val_00000000.JPEG", "a.Png")
    )
    assert prepare(copy, tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "2 classes: 6 training and 2 validation images" in told
    assert (
        "passed over 5 files that are no images ('Thumbs.db', "
        "'n11669921/.DS_Store', 'n11669921/._n11669921_0.JPEG' and 2 more)" in told
    )
    assert "rejected" not in told
    archive = tmp_path / "val.tar"
    with tarfile.open(archive, "w") as file:
        file.add(copy / "val", "val")
    passed_over = []
    classes, _ = scan_train(copy / "train")
    images = scan_val(archive, classes, copy / "val.txt", passed_over)
    assert passed_over == ["val/Thumbs.db"]
    assert len(images) == 2


def test_other_images_do_not_continue(ilsvrc, copy, tmp_path, capsys):
    assert prepare(ilsvrc, tmp_path / "out") == 0
    assert prepare(copy, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "exists already and was built with other images or labels; give" in error
    (tmp_path / "out" / "train_lmdb").rename(tmp_path / "out" / "train_lmdb.partial")
    assert prepare(ilsvrc, tmp_path / "out") == 1
    assert "no work of ours; remove it" in capsys.readouterr().err


def no_classes(root):
    for folder in (root / "train").iterdir():
        for file in folder.iterdir():
            file.rename(root / "train" / file.name)
        folder.rmdir()


def empty_class(root):
    for file in (root / "train" / "n11669921").iterdir():
        file.unlink()


def label_out_of_range(root):
    text = (root / "val.txt").read_text()
    (root / "val.txt").write_text(text.replace(" 1\n", " 2\n"))


def devkit_labels(root):
    (root / "val.txt").write_text("490\n361\n")


def missing_label(root):
    (root / "val.txt").write_text((root / "val.txt").read_text().splitlines()[0])


def missing_image(root):
    (root / "val" / "ILSVRC2012_val_00000001.JPEG").unlink()


def two_labels(root):
    text = (root / "val.txt").read_text()
    (root / "val.txt").write_text(text + "ILSVRC2012_val_00000001.JPEG 0\n")


def all_damaged(root):
    for file in (root / "val").iterdir():
        file.write_bytes(b"nothing")


def empty_val(root):
    for file in (root / "val").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_classes, "no folders of classes"),
        (empty_class, "no images in class folder 'n11669921'"),
        (label_out_of_range, "val.txt:2: label '2' of 'ILSVRC2012_val_00000001.JPEG'"),
        (devkit_labels, "development kit"),
        (missing_label, "has no label for 1 of the validation images"),
        (missing_image, "lacks 1 of the validation images"),
        (two_labels, "val.txt:3: a second label"),
        (all_damaged, "none of the 2 images"),
        (empty_val, "no images, expected at least one"),
    ],
)
def test_bad_input_is_one_sentence(copy, tmp_path, capsys, damage, message):
    damage(copy)
    assert prepare(copy, tmp_path / "out") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("sknet prepare: ")
    assert message in error


def test_archives_are_hostile(ilsvrc, tmp_path):
    classes, _ = scan_train(ilsvrc / "train")
    path = tmp_path / "val.tar"
    path.write_bytes(b"no archive" * 100)
    with pytest.raises(ValueError, match="no uncompressed tar archive"):
        scan_val(path, classes)
    photograph = (ilsvrc / "val" / "ILSVRC2012_val_00000000.JPEG").read_bytes()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("../../n04346328/x.JPEG")
        entry.size = len(photograph)
        archive.addfile(entry, io.BytesIO(photograph))
        link = tarfile.TarInfo("n04346328/link.JPEG")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("n04346328/empty.JPEG"))
    images = scan_val(path, classes)
    assert [image.label for image in images] == [0, 0]
    result = build(path, images, classes, tmp_path / "whole")
    (datum,) = entries(tmp_path / "whole").values()
    assert datum.data == photograph
    assert result.rejected == [("n04346328/empty.JPEG", "the image has no bytes")]
    # Truncated behind the header: an error of that image.
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(ValueError, match=r"ends after 512 of \d+ bytes"):
        build(path, images, classes, tmp_path / "cut")
    assert not (tmp_path / "cut.partial").exists()


def test_names_need_not_be_text(copy, tmp_path):
    """A file system's names are bytes; this one is in Latin-1, its copy damaged."""
    folder = copy / "train" / "n04346328"
    good, bad = (os.fsencode(folder) + name for name in (b"/\xe9.JPEG", b"/\xe8.JPEG"))
    Path(os.fsdecode(good)).write_bytes((folder / "n04346328_0.JPEG").read_bytes())
    Path(os.fsdecode(bad)).write_bytes(b"nothing")
    run_main = "import sys; from sknet.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", run_main, "prepare", "imagenet"]
    command += ["--allow-rejects"]
    command += ["--train", str(copy / "train"), "--val", str(copy / "val")]
    command += ["--val-labels", str(copy / "val.txt"), "--out", str(tmp_path / "out")]
    for told in (b"stored 7 of 8 images", b"complete already: 7 of 8 images"):
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        )
        assert done.returncode == 0, done.stderr
        assert told in done.stdout
        assert rb"rejected 'n04346328/\udce8.JPEG': the data is damaged" in done.stdout


def test_another_seed_is_named(ilsvrc, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    assert prepare(ilsvrc, out, "--seed", 3) == 0
    assert prepare(ilsvrc, out, "--seed", 4) == 1
    error = capsys.readouterr().err
    assert (
        "train_lmdb' exists already and was built with --seed 3, now --seed 4" in error
    )
    order = tmp_path / "order.txt"
    for names, message in (
        (["n11669921", "n04346328"], "with the classes in another order"),
        (["n11669921", "n04346328", "n00000001"], "with other classes"),
    ):
        order.write_text("\n".join(names))
        assert prepare(ilsvrc, out, "--seed", 3, "--classes", order) == 1
        assert message in capsys.readouterr().err
    # An interrupted run was begun with a seed as well.
    classes, images = scan_train(ilsvrc / "train")
    monkeypatch.setattr("sknet.data.prepare._COMMIT_IMAGES", 1)

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    def begin(seed, **options):
        order = shuffled(images, seed)
        source = ilsvrc / "train"
        build(source, order, classes, tmp_path / "half", seed=seed, **options)

    with pytest.raises(KeyboardInterrupt):
        begin(3, report=stop)
    with pytest.raises(ValueError, match="was begun with --seed 3, now --seed 5; give"):
        begin(5)
    begin(3)


def test_reports_count_what_is_stored(copy, tmp_path, capsys):
    """A class of three images of which one is damaged has two."""
    whole = (copy / "train" / "n04346328" / "n04346328_0.JPEG").read_bytes()
    bad = copy / "train" / "n04346328" / "n04346328_1.JPEG"
    bad.write_bytes(whole[:100])
    out = tmp_path / "out"
    assert prepare(copy, out, "--allow-rejects") == 0
    told = capsys.readouterr().out
    assert "stored 5 of 6 images" in told
    assert "2 to 3 images in a class" in told
    labels = [datum.label for datum in entries(out / "train_lmdb").values()]
    assert sorted(np.bincount(labels)) == [2, 3]
    # All of a class: it has none.
    for file in (copy / "train" / "n04346328").iterdir():
        file.write_bytes(whole[:100])
    assert prepare(copy, tmp_path / "none", "--allow-rejects") == 0
    assert "0 to 3 images in a class" in capsys.readouterr().out


def test_a_repaired_image_is_told(copy, tmp_path, capsys):
    whole = (copy / "train" / "n04346328" / "n04346328_0.JPEG").read_bytes()
    bad = [copy / "train" / "n04346328" / f"n04346328_{i}.JPEG" for i in (1, 2)]
    for path in bad:
        path.write_bytes(whole[:100])
    out = tmp_path / "out"
    assert prepare(copy, out) == 1
    capsys.readouterr()
    bad[0].write_bytes(whole)
    assert prepare(copy, out) == 1
    told = capsys.readouterr().out
    name = "n04346328/n04346328_{}.JPEG"
    assert (
        f"rejected '{name.format(1)}' in an earlier run, but it can be stored" in told
    )
    assert f"rejected '{name.format(2)}': " in told
    assert f"remove {out}/train_lmdb and give this command again" in told
    # Which is the way.
    shutil.rmtree(out / "train_lmdb")
    bad[1].write_bytes(whole)
    assert prepare(copy, out) == 0
    assert "stored 6 of 6 images" in capsys.readouterr().out
    assert len(entries(out / "train_lmdb")) == 6


def test_a_repaired_image_is_told_by_a_resumed_run(copy, tmp_path, monkeypatch):
    bad = copy / "train" / "n04346328" / "bad.JPEG"
    bad.touch()
    monkeypatch.setattr("sknet.data.prepare._COMMIT_IMAGES", 1)
    classes, images = scan_train(copy / "train")
    images.sort(key=lambda image: "bad" not in image.name)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    setting = (copy / "train", images, classes, tmp_path / "lmdb")
    with pytest.raises(KeyboardInterrupt):
        build(*setting, report=stop)
    bad.write_bytes((bad.parent / "n04346328_0.JPEG").read_bytes())
    result = build(*setting)
    assert (result.written, result.repaired) == (6, ["n04346328/bad.JPEG"])


def test_some_of_the_classes_of_a_list(ilsvrc, tmp_path, capsys):
    """Labels are those of the list, which is what the net's outputs are."""
    every = ["n00000001", "n11669921", "n00000002", "n04346328", "n00000003"]
    listed = tmp_path / "all.txt"
    listed.write_text("".join(f"{name} some words\n" for name in every))
    names = tmp_path / "val.txt"
    names.write_text(
        "".join(
            f"{file} {list(CLASSES)[int(label)]}\n"
            for file, label in map(
                str.split, (ilsvrc / "val.txt").read_text().splitlines()
            )
        )
    )
    out = tmp_path / "out"
    assert prepare(ilsvrc, out, "--classes", listed, "--val-labels", names) == 0
    told = capsys.readouterr().out
    assert "2 of the 5 classes: 12 training and 4 validation images" in told
    assert "6 to 6 images in a class" in told
    for key, datum in entries(out / "train_lmdb").items():
        assert every[datum.label] == key[9:].partition("/")[0]
    assert {datum.label for datum in entries(out / "val_lmdb").values()} == {1, 3}
    record = json.loads((out / "val_lmdb" / "classes.json").read_text())
    assert record["classes"] == every
    # So that a net with these five outputs takes the database as it is.
    source = open_source(out / "val_lmdb")
    assert source.classes.names == tuple(every)
    assert source.classes.translation(read_class_list(listed)) == list(range(5))

    listed.write_text("n00000001\nn11669921\n")
    assert prepare(ilsvrc, tmp_path / "other", "--classes", listed) == 1
    error = capsys.readouterr().err
    assert (
        "train': 1 of 2 classes ('n04346328') are not among the 2 of the list" in error
    )


def test_validation_images_in_no_folders_need_labels(copy, tmp_path, capsys):
    command = ["prepare", "imagenet", "--train", str(copy / "train"), "--val"]
    assert main([*command, str(copy / "val"), "--out", str(tmp_path / "out")]) == 1
    said = "its images are in no folders of the training set's classes"
    assert f"{said}; give --val-labels" in capsys.readouterr().err
    other = tmp_path / "other" / "n00000009"
    other.mkdir(parents=True)
    (copy / "val" / "ILSVRC2012_val_00000000.JPEG").rename(other / "x.JPEG")
    assert main([*command, str(other.parent), "--out", str(tmp_path / "out")]) == 1
    assert f"{said} ('n00000009'); give --val-labels" in capsys.readouterr().err


def test_validation_images_of_classes_without_training_images(ilsvrc, tmp_path, capsys):
    listed = tmp_path / "all.txt"
    listed.write_text("n00000001\nn04346328\nn11669921\n")
    assert prepare(ilsvrc, tmp_path / "out", "--classes", listed) == 0
    warnings = re.findall("^warning: .*$", capsys.readouterr().out, re.M)
    assert warnings == [
        "warning: there are validation images of classes without training images "
        "('n00000001'); see that their labels are right"
    ]


def test_another_order_of_classes(ilsvrc, tmp_path, capsys):
    order = tmp_path / "order.txt"
    order.write_text("n11669921 flower\nn04346328 temple\n")
    labels = tmp_path / "val.txt"
    labels.write_text((ilsvrc / "val.txt").read_text())
    assert prepare(ilsvrc, tmp_path / "out", "--classes", order) == 0
    assert (
        f"warning: numbers in '{ilsvrc / 'val.txt'}' are places in '{order}', which is "
        "not sorted" in capsys.readouterr().out
    )
    for key, datum in entries(tmp_path / "out" / "train_lmdb").items():
        assert datum.label == (1 if "n04346328/" in key else 0)
    order.write_text("n11669921 flower\n")
    assert prepare(ilsvrc, tmp_path / "other", "--classes", order) == 1
