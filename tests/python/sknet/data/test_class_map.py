"""Class maps tell orders of labels apart."""

from __future__ import annotations

import pytest

from sknet.data.class_map import ClassMap, read_class_list, read_record, write_record


def test_an_order_is_translated_into_another():
    here, there = ClassMap(("cat", "dog", "emu")), ClassMap(("emu", "cat", "dog"))
    assert here.translation(there) == [1, 2, 0]
    assert here.translation(here) == [0, 1, 2]
    assert here.digest != there.digest


def test_some_of_the_classes_are_translated():
    some, all_ = ClassMap(("dog", "emu")), ClassMap(("ape", "emu", "cat", "dog"))
    assert some.translation(all_) == [3, 1]


@pytest.mark.parametrize(
    "other", [("cat",), ("cat", "dog"), ("cat", "dog", "gnu", "x")]
)
def test_other_classes_have_no_translation(other):
    with pytest.raises(ValueError, match="expected some or all of those"):
        ClassMap(("cat", "dog", "emu")).translation(ClassMap(other))


def test_lists_are_read(tmp_path):
    path = tmp_path / "synset_words.txt"
    path.write_text("n01440764 tench, Tinca tinca\n\nn01443537 goldfish\n")
    assert read_class_list(path).names == ("n01440764", "n01443537")


def test_a_record_is_read_back(tmp_path):
    classes = ClassMap(("b", "a"))
    assert read_record(tmp_path) is None
    write_record(tmp_path, classes, images=3)
    read, details = read_record(tmp_path)
    assert read == classes == read_class_list(tmp_path / "classes.json")
    assert details["images"] == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "no class"),
        ("a.txt", b"cat\ndog\ncat 2\n", "class 'cat' has 2 labels"),
        ("a.txt", b"\xff\xfe\x00", "no text in UTF-8"),
        ("a.json", b"{", "a.json': Expecting property name"),
        ("a.json", b"[" * 100_000, "a.json'"),
        ("a.json", b"[]", "not written by `sknet prepare`"),
        ("a.json", b'{"classes": ["a"]}', "not written by `sknet prepare`"),
        ("a.json", b'{"format": "sknet class map 1", "classes": [1]}', "not written"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_class_list(path)
