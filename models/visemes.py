"""Phonemes of many languages, the 15 visemes, and where lips, jaw and tongue go for each: one table.

Values only: it touches nothing. A row gives a phoneme's viseme and its articulatory targets; `from_ipa` and
`from_arpabet` bring the labels of aligners and synthesisers to those rows (an affricate may become two).

Sources. Visemes: the 15 mouth shapes of Meta's lip-sync set as published in OpenXR (XrFaceTrackingVisemeMETA);
phonemes it does not name go to the shape with the same place and lip posture (w to U, j to I, r-coloured vowels to
RR, velar and glottal sounds to kk, the velar nasal to nn, schwa to aa). Lip rounding, spreading and place: the charts
of the Handbook of the International Phonetic Association (1999). Jaw: vowels by height (Lindblom & Sundberg, JASA
1971); consonants by the order measured by Keating, Lindblom, Lubker & Kreiman (J. Phonetics 1994): sibilants and t/d
highest, l, k, h lowest.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")
VISEME_INDEX = {name: i for i, name in enumerate(VISEMES)}

ARTICULATION = (
    "jaw_open",  # 0 teeth together .. 1 widest in speech
    "lip_open",  # gap between the lips; 0 shut
    "lip_round",  # rounded and pushed forward
    "lip_spread",  # corners pulled back
    "bilabial",  # lips pressed together
    "labiodental",  # lower lip at the upper teeth
    "tongue_tip",  # tip raised to the teeth or the ridge behind them
    "tongue_back",  # back raised to the palate
    "voicing",
)


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One class of sounds that look and sound alike across languages. `end` differs from `start` in diphthongs."""

    symbol: str
    viseme: str
    start: tuple[float, ...]
    end: tuple[float, ...]


def _row(line: str) -> Phoneme:
    symbol, viseme, start, *end = line.split()

    def targets(digits: str) -> tuple[float, ...]:
        return tuple(1.0 if d == "X" else int(d) / 10 for d in digits)

    return Phoneme(symbol, viseme, targets(start), targets(end[0] if end else start))


# Tenths (X is 1) in the order of ARTICULATION: jaw, lips open, round, spread, bilabial, labiodental, tip, back, voice.
TABLE: tuple[Phoneme, ...] = tuple(
    _row(line)
    for line in """
    sil  sil 000000000
    p    PP  1000X0000
    b    PP  1000X000X
    m    PP  1000X000X
    f    FF  12000X000
    v    FF  12000X00X
    θ    TH  230000X00
    ð    TH  230000X0X
    t    DD  230100X00
    d    DD  230100X0X
    k    kk  3401000X0
    ɡ    kk  3401000XX
    x    kk  340000080
    h    kk  340000000
    tʃ   CH  126000800
    dʒ   CH  12600080X
    ʃ    CH  136000600
    ʒ    CH  13600060X
    s    SS  130400800
    z    SS  13040080X
    n    nn  230100X0X
    ɲ    nn  2302006XX
    ŋ    nn  3401000XX
    l    nn  340100X0X
    ɹ    RR  23400050X
    r    RR  230000X0X
    ʁ    RR  34000008X
    j    I   2306000XX
    w    U   11X00007X
    i    I   2409000XX
    ɪ    I   34040006X
    y    U   21800009X
    e    E   46060004X
    ø    O   33700003X
    ɛ    E   57030002X
    ə    aa  44000002X
    ɜ    RR  44200042X
    æ    aa  79020000X
    a    aa  9X000000X
    ʌ    aa  67000001X
    ɑ    aa  XX000002X
    ɔ    O   67600004X
    o    O   44800006X
    u    U   22X00009X
    ʊ    U   32600007X
    ɯ    I   24020009X
    eɪ   E   57040003X 24060007X
    aɪ   aa  9X000000X 34040006X
    ɔɪ   O   57600004X 34040006X
    aʊ   aa  9X000000X 32600007X
    oʊ   O   55500004X 22900007X
    """.strip().splitlines()
)
PHONEMES = tuple(row.symbol for row in TABLE)
PHONEME_INDEX = {symbol: i for i, symbol in enumerate(PHONEMES)}
PHONEME_VISEME: NDArray[np.int64] = np.array([VISEME_INDEX[row.viseme] for row in TABLE])
"""(P,) the viseme of each phoneme."""

_ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɜ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
    "SIL": "sil", "SP": "sil", "SPN": "sil", "PAU": "sil", "H#": "sil", "AX": "ə", "AXR": "ɜ", "IX": "ɪ", "DX": "d",
    "NX": "n", "HV": "h", "EL": "l", "EM": "m", "EN": "n", "UX": "u", "Q": "h", "BRTH": "sil",
}  # fmt: skip

# Sounds outside the table, as the nearest rows; several rows follow one another in time.
_NEAREST = {
    "g": "ɡ", "c": "k", "q": "k", "ɟ": "ɡ", "ɢ": "ɡ", "ʈ": "t", "ɖ": "d", "ɓ": "b", "ɗ": "d", "ɸ": "p", "β": "b",
    "ɱ": "v", "ʋ": "v", "ⱱ": "v", "ɕ": "ʃ", "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ", "ɧ": "x", "ç": "x", "χ": "x", "ɣ": "x",
    "ʝ": "j", "ħ": "h", "ʕ": "h", "ɦ": "h", "ʔ": "h", "ɬ": "l", "ɮ": "l", "ɫ": "l", "ɭ": "l", "ɺ": "l", "ʎ": "l",
    "ʟ": "l", "ɳ": "n", "ɴ": "ŋ", "ɾ": "r", "ɽ": "r", "ʀ": "ʁ", "ɻ": "ɹ", "ɥ": "y", "ʍ": "w", "ɰ": "ɯ", "ã": "a",
    "õ": "o", "ĩ": "i", "ũ": "u", "ẽ": "e", "ɨ": "ɪ", "ʉ": "u", "ʏ": "y", "ɵ": "ø", "œ": "ø", "ɶ": "ø", "ɤ": "ʌ",
    "ɘ": "ə", "ɞ": "ɜ", "ɝ": "ɜ", "ɚ": "ɜ", "ɐ": "ʌ", "ɒ": "ɔ", "ᵻ": "ɪ", "ts": "t s", "dz": "d z",
    "tʂ": "tʃ", "dʐ": "dʒ", "tɕ": "tʃ", "dʑ": "dʒ", "pf": "p f", "kx": "k x", "ʧ": "tʃ", "ʤ": "dʒ", "ɛɪ": "eɪ",
    "ei": "eɪ", "æɪ": "eɪ", "ai": "aɪ", "ɑɪ": "aɪ", "ʌɪ": "aɪ", "ɔʏ": "ɔɪ", "ɔø": "ɔɪ", "oi": "ɔɪ", "oɪ": "ɔɪ",
    "ɒɪ": "ɔɪ", "au": "aʊ", "ɑʊ": "aʊ", "æʊ": "aʊ", "əʊ": "oʊ", "ou": "oʊ", "ɐɪ": "aɪ", "ɐʊ": "aʊ",
}  # fmt: skip


def from_arpabet(label: str) -> str:
    """The phoneme of an ARPAbet label, with or without stress digits. Raises KeyError for an unknown one."""
    return _ARPABET[label.upper().rstrip("012")]


def from_ipa(label: str) -> tuple[str, ...]:
    """Phonemes of one IPA segment, in order; stress, length, tone and diacritics are ignored.

    A segment that is neither in the table nor among its neighbours is read sign by sign ("ɑːɹ" is ɑ then ɹ); signs that
    stand for no sound are skipped, so the answer may be empty.
    """
    if label.strip("_:") == "":
        return ("sil",)
    plain = "".join(c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) in ("Ll", "Lo"))
    found: list[str] = []
    while plain:
        length = 2 if _rows(plain[:2]) else 1
        found += _rows(plain[:length])
        plain = plain[length:]
    return tuple(found)


def _rows(segment: str) -> tuple[str, ...]:
    return (segment,) if segment in PHONEME_INDEX else tuple(_NEAREST.get(segment, "").split())


def articulation(symbol: str, progress: float = 0.5) -> NDArray[np.float32]:
    """(A,) targets in 0..1 of a phoneme at `progress` 0..1 of its duration; diphthongs glide between their two ends."""
    row = TABLE[PHONEME_INDEX[symbol]]
    glide = min(1.0, max(0.0, (progress - 0.25) / 0.5))
    return np.asarray((1 - glide) * np.asarray(row.start) + glide * np.asarray(row.end), np.float32)
