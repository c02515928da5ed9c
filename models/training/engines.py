"""Speech with exact phoneme times from Festival and flite: diphone, unit-selection and statistical voices of Debian.

Runs the installed programs `festival` and `flite` in a temporary folder; reads `sentences.txt`. Their phone sets are
brought to IPA here (sources: the phone sets below /usr/share/festival; radio and flite voices name ARPAbet).
Voices: apt-get install flite festival festival-hi festival-mr festival-te festvox-{kallpc16k,kdlpc16k,us-slt-hts,
italp16k,itapc16k,czech-dita,czech-krb,czech-machac,czech-ph,ru,suopuhe-lj,suopuhe-mv,ca-ona-hts,hi-nsk,mr-nsk,te-nsk}.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.rates import SPEECH_RATE
from models.training.corpus import Segment, read_sound
from models.training.espeak import random_text
from models.visemes import from_arpabet, from_ipa

Spoken = tuple[NDArray[np.float32], list[Segment]]


class EngineError(RuntimeError):
    """An engine or a voice of it is not installed, or it fails."""


@dataclass(frozen=True, slots=True)
class Voice:
    """name as the engine knows it; phones names the phone set, "" for ARPAbet; encoding of the engine's text."""

    engine: str
    name: str
    language: str
    phones: str = ""
    encoding: str = "utf-8"


VOICES = (
    Voice("flite", "kal16", "en"),
    Voice("flite", "awb", "en"),
    Voice("flite", "slt", "en"),
    Voice("flite", "rms", "en"),
    Voice("festival", "kal_diphone", "en"),
    Voice("festival", "ked_diphone", "en"),
    Voice("festival", "cmu_us_slt_arctic_hts", "en"),
    Voice("festival", "czech_dita", "cs", "czech", "iso-8859-2"),
    Voice("festival", "czech_krb", "cs", "czech", "iso-8859-2"),
    Voice("festival", "czech_machac", "cs", "czech", "iso-8859-2"),
    Voice("festival", "czech_ph", "cs", "czech", "iso-8859-2"),
    Voice("festival", "hy_fi_mv_diphone", "fi", "finnish", "iso-8859-1"),
    Voice("festival", "suo_fi_lj_diphone", "fi", "finnish", "iso-8859-1"),
    Voice("festival", "msu_ru_nsh_clunits", "ru", "russian"),
    Voice("festival", "upc_ca_ona_hts", "ca", "catalan", "iso-8859-1"),
    Voice("festival", "hindi_NSK_diphone", "hi", "indian"),
    Voice("festival", "marathi_NSK_diphone", "mr", "indian"),
    Voice("festival", "telugu_NSK_diphone", "te", "indian"),
    Voice("festival", "lp_diphone", "it", "italian", "iso-8859-1"),
    Voice("festival", "pc_diphone", "it", "italian", "iso-8859-1"),
)
HELD_OUT_VOICES = frozenset({"rms", "czech_krb", "lp_diphone", "pc_diphone"})
"""Never trained on: a flite voice, a child's voice, and all of Italian."""

_SILENCES = frozenset({"#", "##", "pau", "ssil", "h#", "brth", "x"})
# What a phone set writes otherwise than IPA, after stress digits and length marks are taken off.
_SETS = {
    "italian": "E=ɛ O=ɔ S=ʃ Z=ʒ tS=tʃ dZ=dʒ J=ɲ ng=ŋ nf=ɱ L=ʎ",
    "czech": "c=ts c~=tʃ ch=x d~=ɟ dz~=dʒ h=ɦ n*=ŋ n~=ɲ r~=ʒ r~*=ʃ s~=ʃ t~=c z~=ʒ _=ʔ e=ɛ i=ɪ",
    "finnish": "@=æ 7=ø &=ə T=θ S=ʃ N=ŋ L=l a=ɑ",
    "russian": "ii=i yy=ɨ uu=u ee=ɛ oo=o aa=a a=ʌ e=ɪ i=ɪ y=ɨ ae=ə ay=ə ur=ʊ c=ts ch=tʃ sh=ʃ sch=ʃ zh=ʒ h=x hh=x",
    "catalan": "ax=ə E=ɛ O=ɔ S=ʃ Z=ʒ J=ɲ L=ʎ rr=r _=sil",
    "indian": "a=ʌ aa=a ih=ɪ iy=i uh=ʊ uw=u eh=e ee=e ay=aɪ oh=o oo=o aw=aʊ ch=tʃ T=ʈ D=ɖ N=ɳ th=t dh=d y=j v=ʋ "
    "L=ɭ R=ɽ sh=ʃ j=dʒ ksh=kʃ sri=ʃri kh=k gh=ɡ td=t tth=t ddh=d bh=b zh=ʒ @=ə w=ʋ",
}
_TABLES = {name: dict(entry.split("=") for entry in line.split()) for name, line in _SETS.items()}
_SCRIPT = """
(define (say text name stretch)
  (Parameter.set 'Duration_Stretch stretch)
  (set! utt (utt.synth (eval (list 'Utterance 'Text text))))
  (utt.save.segs utt (string-append name ".lab"))
  (utt.save.wave utt (string-append name ".wav") 'riff))
"""


def to_ipa(phone: str, phones: str) -> tuple[str, ...]:
    """Rows of the phoneme table for one native phone; raises EngineError for one that no table knows."""
    if phone.lower() in _SILENCES:
        return ("sil",)
    if not phones:
        return (from_arpabet(phone),)
    table = _TABLES[phones]
    plain = phone.rstrip("1:")
    if plain not in table and phones == "russian" and len(plain) == 2 and plain[0] == plain[1]:
        plain = plain[0]  # a soft consonant
    found = ("sil",) if table.get(plain) == "sil" else from_ipa(table.get(plain, plain))
    if not found:
        raise EngineError(f"the phone {phone!r} of the set {phones!r} has no row in the phoneme table")
    return found


def babble(voice: Voice, seconds: float, random: np.random.Generator) -> Iterator[Spoken]:
    """At least `seconds` of sentences and shuffled words by one voice. Raises EngineError."""
    spoken = 0.0
    while spoken < seconds:
        texts = [random_text(voice.language, random).replace('"', "") for _ in range(12)]
        speak = _flite if voice.engine == "flite" else _festival
        for sound, segments in speak(voice, texts, random):
            spoken += len(sound) / SPEECH_RATE
            yield sound, segments


def _festival(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Spoken]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [f'(say "{text}" "{i}" {random.uniform(0.8, 1.25):.2f})' for i, text in enumerate(texts)]
        script = "\n".join((_SCRIPT, f"(voice_{voice.name})", *lines))
        (folder / "say.scm").write_bytes(script.encode(voice.encoding, "ignore"))
        _run(["festival", "-b", "say.scm"], folder)
        for i in range(len(texts)):
            if (folder / f"{i}.wav").exists():
                rows = [line.split() for line in (folder / f"{i}.lab").read_text("latin-1").splitlines()[1:]]
                ends = [(row[2], float(row[0])) for row in rows if len(row) == 3]
                yield _with_segments(folder / f"{i}.wav", ends, voice)


def _flite(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Spoken]:
    with tempfile.TemporaryDirectory() as name:
        for text in texts:
            stretch = f"duration_stretch={random.uniform(0.8, 1.25):.2f}"
            command = ["flite", "-voice", voice.name, "--setf", stretch, "-psdur", "-t", text, "-o", "said.wav"]
            printed = _run(command, Path(name))
            ends = [(phone, float(end)) for phone, end in (pair.split(":") for pair in printed.split() if ":" in pair)]
            yield _with_segments(Path(name) / "said.wav", ends, voice)


def _with_segments(file: Path, ends: Sequence[tuple[str, float]], voice: Voice) -> Spoken:
    """The sound and its gapless segments; a phone of several rows shares its time among them."""
    sound = read_sound(file)
    segments, start_s = [], 0.0
    for phone, end_s in ends:
        rows = to_ipa(phone, voice.phones)
        each_s = (end_s - start_s) / len(rows)
        segments += [Segment(row, start_s + i * each_s, start_s + (i + 1) * each_s) for i, row in enumerate(rows)]
        start_s = end_s
    return sound, segments


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        return subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, errors="replace", timeout=300
        ).stdout
    except FileNotFoundError as error:
        raise EngineError(f"{command[0]} is not installed; install Debian's package of that name") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{command[0]} fails: {error}") from error
