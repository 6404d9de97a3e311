import os

import numpy as np
import pytest

from glo.data.readers.folder_classes import classify_by_folder, natural_key


def classify(*names, folders=(), read=None):
    native = [name.replace("/", os.sep) for name in names]
    read = native if read is None else [name.replace("/", os.sep) for name in read]
    everywhere = {
        os.sep.join(n.split(os.sep)[:i]) for n in native for i in range(1, n.count(os.sep) + 1)
    }
    everywhere |= {name.replace("/", os.sep) for name in folders}
    labels, classes, notes = classify_by_folder(read, native, read, everywhere)
    return None if labels is None else labels.tolist(), classes, " ".join(notes)


def test_natural_order():
    assert sorted(["10", "9", "a2", "a10"], key=natural_key) == ["9", "10", "a2", "a10"]


def test_classes_are_counted_and_empty_ones_named():
    labels, names, notes = classify("dog/a", "cat/b", "cat/x/c", folders=["owl", "cat/empty"])
    assert (labels, names) == ([1, 0, 0], ("cat", "dog"))
    assert "cat 2, dog 1" in notes
    assert "owl" in notes
    assert "empty" not in notes
    # A folder of files that cannot be read is no class.
    labels, names, notes = classify("cat/a", "dog/b", read=["dog/b"])
    assert (labels, names) == ([0], ("dog",))
    assert "cat" in notes


def test_many_classes_are_counted():
    _, names, notes = classify(*(f"c{number}/a" for number in range(50)))
    assert len(names) == 50
    assert "50 classes" in notes
    assert "c49" not in notes


def test_images_beside_folders_have_no_classes():
    labels, names, notes = classify("cat/a", "b", "c")
    assert (labels, names) == (None, ())
    assert "2 of 3" in notes
    assert classify("a", "b") == (None, (), "")


@pytest.mark.parametrize("tops", [("train", "test"), ("Train", "val", "validation"), ("train",)])
def test_splits_are_no_classes(tops):
    names = [f"{top}/{name}/1.png" for top in tops for name in ("dog", "cat")]
    labels, classes, notes = classify(*names, folders=["train/owl"])
    assert (labels, classes) == ([1, 0] * len(tops), ("cat", "dog"))
    assert tops[0] in notes
    assert "owl" in notes
    assert classify(*(f"{top}/1.png" for top in tops))[:2] == (None, ())


def test_splits_with_other_folders_are_classes():
    labels, classes, notes = classify("train/cat/1", "train/dog/1", "test/2")
    assert (labels, classes) == ([1, 1, 0], ("test", "train"))
    assert "not the same" in notes
    assert classify("train/cat/1", "owl/cat/2")[1] == ("owl", "train")


def test_a_single_outer_folder_is_no_class():
    labels, names, notes = classify("a/b/dog/1", "a/b/cat/2", folders=["a/b/owl", "a/empty"])
    assert (labels, names) == ([1, 0], ("cat", "dog"))
    assert "a/b".replace("/", os.sep) in notes
    assert "owl" in notes
    splits = [f"all/{part}/{name}/1" for part in ("train", "test") for name in ("cat", "dog")]
    assert classify(*splits)[1] == ("cat", "dog")
    assert classify("all/cat/1", "all/dog/1", "all/2")[0] is None
    # The only class.
    assert classify("cat/1", "cat/2")[:2] == ([0, 0], ("cat",))
    assert classify("cat/x/1", "cat/2")[:2] == ([0, 0], ("cat",))


def test_case_variants_are_reported():
    labels, classes, notes = classify("Cat/1", "cat/2", "dog/3")
    assert (labels, classes) == ([0, 1, 2], ("Cat", "cat", "dog"))
    assert "case" in notes
    assert "case" not in classify("cat/1", "dog/1")[2]
    assert np.array_equal(classify("2/a", "10/a", "1/a")[1], ("1", "2", "10"))
