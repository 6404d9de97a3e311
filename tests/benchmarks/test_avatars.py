"""The set of rendered faces: its split, and the options a face is drawn with."""

import numpy as np
from benchmarks.avatars import ABSENT, OPTIONAL, REQUIRED, Face, distinct, options, sheet, split


def key(face: Face) -> tuple[str, ...]:
    return tuple(face[name] for name in REQUIRED)


def test_no_two_faces_of_the_split_agree_in_all_required_parts() -> None:
    parts = split(300, 100, seed=0)
    assert {name: len(faces) for name, faces in parts.items()} == {"heldout": 100, "train": 300}
    assert len({key(face) for faces in parts.values() for face in faces}) == 400


def test_a_face_that_differs_in_optional_parts_alone_is_left_out() -> None:
    face = dict.fromkeys(REQUIRED, "a") | dict.fromkeys(OPTIONAL, ABSENT)
    other = face | {"mouth": "b"}
    assert list(distinct([face, face | {"glasses": "c"}, other, face])) == [face, other]


def test_the_split_is_fixed_by_its_seed_and_training_sets_are_nested() -> None:
    large, small = split(60, 20, seed=3), split(30, 20, seed=3)
    assert small["heldout"] == large["heldout"]
    assert small["train"] == large["train"][:30]
    assert split(60, 20, seed=4)["train"] != large["train"]


def test_a_face_is_drawn_with_its_own_parts_and_without_absent_ones() -> None:
    face = split(0, 1, seed=0)["heldout"][0] | {"hair_color": "black", "glasses": "variant02"}
    chosen = options(face | {"earrings": ABSENT})
    assert chosen["hair"] == [face["hair"]]
    assert chosen["hairColor"] == ["0e0e0e"]
    assert (chosen["glasses"], chosen["glassesProbability"]) == (["variant02"], 100)
    assert chosen["earringsProbability"] == 0
    assert "earrings" not in chosen


def test_a_sheet_has_the_images_in_rows() -> None:
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    drawn = np.asarray(sheet(images, columns=3, rows=5))
    assert drawn[::2, ::2, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
