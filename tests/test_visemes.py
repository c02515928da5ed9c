"""The table of phonemes: complete, in range, and right where the lips show it."""

import numpy as np
import pytest

from models import visemes
from models.visemes import ARTICULATION, PHONEMES, TABLE, VISEMES, articulation, from_arpabet, from_ipa

ARPABET = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH", "SIL",
)  # fmt: skip


def test_every_row_has_all_targets_in_range_and_a_known_viseme():
    assert len(set(PHONEMES)) == len(TABLE)
    for row in TABLE:
        assert row.viseme in VISEMES
        for targets in (row.start, row.end):
            assert len(targets) == len(ARTICULATION)
            assert all(0 <= value <= 1 for value in targets)


def test_every_viseme_is_reached():
    assert {row.viseme for row in TABLE} == set(VISEMES)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.symbol)
def test_lips_agree_with_the_viseme(row):
    target = dict(zip(ARTICULATION, row.start, strict=True))
    assert (target["bilabial"] == 1) == (row.viseme == "PP")
    assert (target["labiodental"] == 1) == (row.viseme == "FF")
    if row.viseme in ("PP", "sil"):
        assert target["lip_open"] == 0
    if row.viseme == "aa" and row.symbol != "ə":
        assert target["jaw_open"] >= 0.6


@pytest.mark.parametrize("label", ARPABET)
def test_arpabet_is_covered(label):
    assert from_arpabet(label) in PHONEMES
    assert from_arpabet(label + "1") == from_arpabet(label)


def test_an_unknown_arpabet_label_is_refused():
    with pytest.raises(KeyError):
        from_arpabet("QQ")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("ˈaɪ", ("aɪ",)),
        ("t͡s", ("t", "s")),
        ("ɑːɹ", ("ɑ", "ɹ")),
        ("pʰ", ("p",)),
        ("ɔ̃", ("ɔ",)),
        ("ã", ("a",)),
        ("n̩", ("n",)),
        ("tɕ", ("tʃ",)),
        ("g", ("ɡ",)),
        ("_:", ("sil",)),
        ("", ("sil",)),
        ("5", ()),
    ],
)
def test_ipa_is_brought_to_the_table(label, expected):
    assert from_ipa(label) == expected


def test_every_neighbour_leads_to_the_table():
    for label in visemes._NEAREST:
        assert from_ipa(label), label


def test_diphthongs_glide_and_other_sounds_hold():
    jaw = ARTICULATION.index("jaw_open")
    assert articulation("aɪ", 0.0)[jaw] > articulation("aɪ", 0.5)[jaw] > articulation("aɪ", 1.0)[jaw]
    np.testing.assert_array_equal(articulation("a", 0.0), articulation("a", 1.0))
