"""The command line as a user meets it: each command's file, and one clear sentence for each mistake."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import server
from models import live_link
from models.visemes import VISEMES

AVATARS = Path(server.__file__).parent / "models" / "avatars"
SPEECH = sorted((Path(__file__).parent / "fixtures").glob("*.opus"))[0]
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(autouse=True)
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("MOUTHPIECE_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second of speech as WAV."""
    file = tmp_path_factory.mktemp("sound") / "clip.wav"
    with av.open(str(SPEECH)) as source, av.open(str(file), "w") as target:
        stream = target.add_stream("pcm_s16le", rate=16_000, layout="mono")
        resampler = av.AudioResampler("s16", "mono", 16_000)
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                target.mux(stream.encode(piece))
            if frame.time > 1.0:
                break
    return file


def run(*arguments) -> int:
    return server.main([str(argument) for argument in arguments])


def pictures(film):
    with av.open(str(film)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_settings_of_arithmetic_come_before_its_library():
    asked = "import sys, server; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=Path(server.__file__).parent, check=False).returncode == 0


@needs_espeak
def test_text_and_a_stored_avatar_become_a_film(tmp_path):
    photo = AVATARS / "iris"
    assert run("enroll", "--photo", next(photo.glob("photo.*")), "--name", "me") == 0
    report_file = tmp_path / "report.json"
    out = tmp_path / "hello.mp4"
    made = run("render", "--avatar", "me", "--text", "Papa!", "--out", out, "--size", 256, "--report", report_file)
    assert made == 0
    report = json.loads(report_file.read_text())
    film = pictures(out)
    assert report["frames"] == len(film) and film[0].shape == (256, 256, 3)
    assert report["look_ahead_ms"] == 80 and report["enrolment_seconds"] > 0
    assert report["stages_ms"]["picture"]["p95"] >= report["stages_ms"]["picture"]["p50"] > 0
    mouth = [np.abs(frame[140:220, 90:170].astype(int) - film[0][140:220, 90:170]).mean() for frame in film]
    assert max(mouth) > 2, "the mouth does not move"


def test_a_photo_and_a_recording_become_a_film_that_starts_with_the_photo(tmp_path, clip):
    photo = next((AVATARS / "freya").glob("photo.*"))
    out = tmp_path / "film.mp4"
    assert run("render", "--photo", photo, "--audio", clip, "--out", out, "--size", 128) == 0
    assert len(pictures(out)) == pytest.approx(26, abs=2)


def test_motion_is_a_recording_of_live_link_face(tmp_path, clip):
    out = tmp_path / "motion.csv"
    assert run("motion", "--audio", clip, "--out", out) == 0
    rows = list(csv.DictReader(out.open()))
    assert tuple(rows[0]) == live_link.COLUMNS and {row["BlendShapeCount"] for row in rows} == {"61"}
    assert [row["Timecode"] for row in rows] == [live_link.timecode(i) for i in range(len(rows))]
    assert len(rows) == pytest.approx(26, abs=2)
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in live_link.COLUMNS[2:54])
    assert max(float(row["JawOpen"]) for row in rows) > 0.03


def test_motion_of_what_is_not_sound_keeps_the_older_file(tmp_path):
    out = tmp_path / "motion.csv"
    out.write_text("older")
    assert run("motion", "--audio", no_face(tmp_path), "--out", out) == 2
    assert out.read_text() == "older"


@pytest.mark.parametrize("look_ahead_ms", [0, 200])
def test_visemes_are_probabilities_every_10_ms(tmp_path, clip, look_ahead_ms):
    out = tmp_path / "visemes.npz"
    assert run("visemes", "--audio", clip, "--out", out, "--look-ahead-ms", look_ahead_ms) == 0
    track = np.load(out)
    assert tuple(track["viseme_names"]) == VISEMES
    assert track["viseme"].shape == (len(track["time_s"]), 15)
    assert track["phoneme"].shape == (len(track["time_s"]), len(track["phoneme_names"]))
    np.testing.assert_allclose(np.diff(track["time_s"]), 0.01, atol=1e-9)
    np.testing.assert_allclose(track["viseme"].sum(1), 1, atol=1e-3)


def test_landmarks_come_with_their_indices(tmp_path):
    out = tmp_path / "landmarks.json"
    photo = next((AVATARS / "kofi").glob("photo.*"))
    assert run("landmarks", "--photo", photo, "--out", out) == 0
    (face,) = json.loads(out.read_text())["faces"]
    assert face["indices"] == list(range(478)) and len(face["points"]) == 478 and face["score"] > 0.5
    x0, y0, x1, y1 = face["box"]
    assert all(x0 - 1 <= x <= x1 + 1 and y0 - 1 <= y <= y1 + 1 for x, y in face["points"])


def no_face(folder: Path) -> Path:
    file = folder / "wall.png"
    cv2.imwrite(str(file), np.full((300, 300, 3), 128, np.uint8))
    return file


MISTAKES = {
    "no such photo": (["--photo", "gone.jpg", "--audio", "CLIP"], "cannot read gone.jpg"),
    "no face": (["--photo", "WALL", "--audio", "CLIP"], "no face"),
    "not a picture": (["--photo", "CLIP", "--audio", "CLIP"], "picture"),
    "not sound": (["--avatar", "freya", "--audio", "WALL"], "sound"),
    "no such sound": (["--avatar", "freya", "--audio", "gone.wav"], "no file gone.wav"),
    "unknown avatar": (["--avatar", "nobody", "--audio", "CLIP"], "no avatar 'nobody'"),
    "odd size": (["--avatar", "freya", "--audio", "CLIP", "--size", "333"], "even number"),
    "unknown mark": (["--avatar", "freya", "--text", "Hi. [laugh]"], "[laugh] is no mark"),
    "unknown voice": (["--avatar", "freya", "--text", "Hi.", "--voice", "klingon"], "voice 'klingon'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@needs_espeak
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(mistake, tmp_path, clip, capsys):
    arguments, words = MISTAKES[mistake]
    places = {"CLIP": clip, "WALL": no_face(tmp_path)}
    out = tmp_path / "film.mp4"
    assert run("render", *[places.get(argument, argument) for argument in arguments], "--out", out) == 2
    said = capsys.readouterr().err.strip()
    assert words in said and said.startswith("mouthpiece: ") and "Traceback" not in said and "\n" not in said
    assert not list(tmp_path.glob("film*"))


def test_a_wrong_setting_is_named(tmp_path, capsys):
    settings = tmp_path / "settings.toml"
    settings.write_text("[server]\nprot = 80\n")
    assert run("serve", "--config", settings) == 2
    assert "server.prot" in capsys.readouterr().err
