"""How the encoder is trained: disguises keep time, labels land on their frames, streaming equals training."""

import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models import mel
from models.training import (
    augment,
    batches,
    corpus,
    engines,
    features,
    nonspeech,
    operating_point,
    pitch_track,
    quick_gru,
)
from models.training.phoneme_ablation import without
from models.training.phoneme_network import DELAYS, VOICE, WIDTHS, PhonemeNetwork
from models.training.realign import realign, runs
from models.visemes import ARTICULATION, PHONEME_INDEX, PHONEME_VISEME, PHONEMES, VISEMES

FIXTURE = Path(__file__).parent / "fixtures/speech_en.opus"
SPEECH = corpus.read_sound(FIXTURE)


def lag_ms(before: np.ndarray, after: np.ndarray) -> int:
    """How much later `after` is, by the envelopes in dB."""
    curves = []
    for sound in (before, after):
        power = np.convolve(np.square(sound), np.ones(160) / 160, "same")[::16]
        level = np.log(power + 1e-5)
        curves.append(level - level.mean())
    length = min(map(len, curves))
    product = np.correlate(curves[1][:length], curves[0][:length], "full")
    return int(product.argmax()) - (length - 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, r: augment.opus(x, 16),
        lambda x, r: augment.opus(x, 6),
        lambda x, r: augment.telephone(x),
        lambda x, r: augment.room(x, r, 0.3, 0.7),
        lambda x, r: augment.noise(x, r, 20),
        lambda x, r: augment.clip(x, 4),
        lambda x, r: augment.formants(x, 1.15),
    ],
    ids=["opus 16", "opus 6", "telephone", "room", "noise", "clip", "formants"],
)
def test_a_disguise_keeps_length_and_time(change):
    changed = change(SPEECH, np.random.default_rng(0))
    assert changed.shape == SPEECH.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert abs(lag_ms(SPEECH, changed)) <= 6


@pytest.mark.parametrize(("voice", "tempo"), [(1.15, 1.0), (0.87, 1.0), (1.0, 1.2), (1.1, 0.85)])
def test_another_voice_has_its_length_and_stays_in_time(voice, tempo):
    changed = augment.revoice(SPEECH, voice, tempo)
    assert len(changed) == round(len(SPEECH) / tempo)
    at = np.linspace(0, len(SPEECH) - 1, len(changed))
    stretched = np.interp(at, np.arange(len(SPEECH)), SPEECH)
    assert abs(lag_ms(stretched, changed)) <= 12


def test_noise_has_the_ratio_asked_for():
    added = augment.noise(SPEECH, np.random.default_rng(0), snr_db=10, colour=1.0) - SPEECH
    assert 10 * np.log10(np.mean(SPEECH**2) / np.mean(added**2)) == pytest.approx(10, abs=0.1)


def test_labels_fall_on_their_frames():
    segments = [corpus.Segment("sil", 0, 0.05), corpus.Segment("p", 0.05, 0.1)]
    phoneme, progress = corpus.frame_labels(segments, 12)
    assert list(phoneme) == [PHONEME_INDEX["sil"]] * 5 + [PHONEME_INDEX["p"]] * 5 + [corpus.UNLABELLED] * 2
    assert 0 < progress[5] < progress[9] < 255
    classes, articulation = batches.targets(phoneme, progress)
    assert (classes[10:] == -100).all()
    assert articulation[7, ARTICULATION.index("bilabial")] == 1


def test_a_warp_of_one_changes_nothing_and_a_longer_tract_lowers_formants():
    spectrum = np.random.default_rng(0).normal(size=(1, 5, mel.BANDS)).astype(np.float32)
    np.testing.assert_allclose(batches.warp(spectrum, np.ones(1)), spectrum, atol=1e-4)
    peak = np.zeros((1, 1, mel.BANDS), np.float32)
    peak[..., 40] = 1
    assert batches.warp(peak, np.array([0.9]))[0, 0].argmax() < 40 < batches.warp(peak, np.array([1.1]))[0, 0].argmax()


def test_sounds_that_are_no_speech_are_finite_and_within_full_scale():
    for sound in nonspeech.sounds(np.random.default_rng(0), count=10, seconds=1):
        assert np.isfinite(sound).all()
        assert 0 < np.abs(sound).max() <= 1


def test_the_network_in_training_equals_the_network_chunk_by_chunk():
    torch.manual_seed(0)
    network = PhonemeNetwork(front=8, width=16, head=12, recent=6).eval()
    heard = torch.randn(2, 4 * 12, mel.BANDS)
    with torch.no_grad():
        whole, voice, end = network(heard, torch.zeros(2, network.memory_size))
        memory, parts = torch.zeros(2, network.memory_size), []
        for chunk in heard.split(4, dim=1):
            logits, _, memory = network(chunk, memory)
            parts.append(logits)
    assert whole.shape == (2, 12, len(DELAYS), 4, sum(WIDTHS))
    assert voice.shape == (2, 12, 4, len(VOICE))
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(memory, end, atol=1e-4, rtol=1e-4)


def test_no_head_hears_the_future():
    torch.manual_seed(0)
    network = PhonemeNetwork(front=8, width=16, head=12, recent=6).eval()
    heard = torch.randn(1, 4 * 8, mel.BANDS)
    other = heard.clone()
    other[:, 4 * 5 :] += 1
    with torch.no_grad():
        start = torch.zeros(1, network.memory_size)
        before, after = network(heard, start)[0], network(other, start)[0]
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5], after[:, 5])


def pitch_of(sound: np.ndarray) -> float:
    track = pitch_track.track(sound)
    return float(np.median(track[track > 0]))


def test_pitch_is_found_with_hindsight():
    time_s = np.arange(32_000) / 16_000
    glide = sum(np.sin(2 * np.pi * k * (120 * time_s + 30 * time_s**2)) / k for k in range(1, 8)).astype(np.float32)
    track = pitch_track.track(np.concatenate((np.zeros(8000, np.float32), 0.1 * glide)))
    assert (track[:45] == 0).all()
    np.testing.assert_allclose(track[60:240], 120 + 60 * (np.arange(10, 190) + 0.5) / 100, rtol=0.01)


def test_formants_move_and_pitch_stays():
    """Independent of pitch: the centre of the spectrum rises, the period does not."""
    shifted = augment.formants(SPEECH, 1.15)
    assert pitch_of(shifted) == pytest.approx(pitch_of(SPEECH), rel=0.03)
    hertz = np.fft.rfftfreq(len(SPEECH), 1 / 16_000)
    before, after = (float(np.average(hertz, weights=np.abs(np.fft.rfft(x)))) for x in (SPEECH, shifted))
    assert after > 1.05 * before
    np.testing.assert_allclose(augment.formants(SPEECH, 1.0), SPEECH, atol=1e-4)


def test_a_rendering_takes_its_labels_and_its_pitch_along():
    segments = [corpus.Segment("sil", 0, 1.0), corpus.Segment("a", 1.0, len(SPEECH) / 16_000)]
    piece = features.rendered("x", SPEECH, segments, np.random.default_rng(2))
    stretch = len(piece.sound) / len(SPEECH)
    assert stretch != pytest.approx(1, abs=0.01)
    assert piece.segments[1].start_s == pytest.approx(stretch, rel=1e-3)
    assert len(piece.pitch) == len(piece.sound) // 160
    assert (piece.pitch > 0).any()


def shard_of(labels: list[list[str]]) -> features.Shard:
    """A clip for each list, a frame for each label."""
    phoneme = np.array([PHONEME_INDEX[p] for clip in labels for p in clip], np.uint8)
    ends = np.cumsum([len(clip) for clip in labels])
    spans = [[int(end) - len(clip), int(end)] for clip, end in zip(labels, ends, strict=True)]
    size = len(phoneme)
    progress = np.full(size, 128, np.uint8)
    spectrum = np.zeros((size, mel.BANDS), np.float16)
    return features.Shard(spectrum, phoneme, progress, np.zeros(size, np.float16), {"x": spans})


def test_a_boundary_goes_to_where_the_listener_hears_it():
    shard = shard_of([["a"] * 10 + ["p"] * 10 + ["a"] * 10])
    truth = ["a"] * 13 + ["p"] * 5 + ["a"] * 12
    believed = np.full((30, len(PHONEMES)), 1e-4, np.float32)
    believed[np.arange(30), [PHONEME_INDEX[p] for p in truth]] = 1
    phoneme, progress = realign(shard, believed)
    assert [PHONEMES[i] for i in phoneme] == truth
    assert list(runs(phoneme, progress)) == [0, 13, 18]


def test_a_listener_who_is_far_off_moves_a_boundary_only_so_far():
    shard = shard_of([["a"] * 30 + ["p"] * 30])
    believed = np.full((60, len(PHONEMES)), 1e-4, np.float32)
    believed[:, PHONEME_INDEX["a"]] = 1
    phoneme, _ = realign(shard, believed)
    assert 30 < np.flatnonzero(phoneme == PHONEME_INDEX["p"])[0] <= 38
    assert (phoneme[-5:] == PHONEME_INDEX["p"]).all()


def test_a_longer_rendering_is_labelled_as_the_plain_one():
    plain = shard_of([["a", "p"], ["s", "s", "i", "i"]])
    longer = shard_of([["sil"] * 4, ["sil"] * 6])
    names = [PHONEMES[i] for i in longer.labelled_as(plain).phoneme]
    assert names == ["a", "a", "p", "p", "s", "s", "s", "i", "i", "i"]


def test_batches_hold_what_they_say():
    shard = shard_of([["a", "p", "s", "sil"] * 40])
    batch = batches.Sampler([shard], rows=5, frames=64, seed=1).draw()
    assert batch.features.shape == (5, 64, mel.BANDS)
    assert np.isfinite(batch.features).all()
    np.testing.assert_allclose(batch.belief.sum(2), 1)
    assert (batch.belief.argmax(2) == batch.phoneme).all()
    again = batches.Sampler([shard], rows=5, frames=64, seed=1).draw()
    np.testing.assert_array_equal(batch.features, again.features)


def test_the_exported_network_says_the_same_from_a_byte_a_weight(tmp_path):
    pytest.importorskip("onnx")
    import onnxruntime

    from models.training.phoneme_export import export

    torch.manual_seed(0)
    network = PhonemeNetwork(front=8, width=64, head=32, recent=6).eval()
    bias = torch.zeros(len(VISEMES))
    bias[1] = 0.7
    export(network, tmp_path / "n.onnx", bias)
    assert (tmp_path / "n.onnx").stat().st_size < 2 * sum(p.numel() for p in network.parameters())
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"), providers=["CPUExecutionProvider"])
    memory = torch.randn(3, network.memory_size)
    for _ in range(6):
        heard, before = torch.randn(3, 4, mel.BANDS), memory
        said = session.run(None, {"features": heard.numpy(), "memory": before.numpy()})
        with torch.no_grad():
            logits, _, memory = network(heard, before)
        viseme, phoneme, articulation = logits[:, 0].split(WIDTHS, 3)
        phoneme = phoneme.softmax(3)
        viseme_of = torch.nn.functional.one_hot(torch.from_numpy(PHONEME_VISEME), len(VISEMES)).float()
        viseme = (viseme.softmax(3) + phoneme @ viseme_of) * bias.exp()
        phoneme = phoneme * (viseme_of @ bias.exp())
        wanted = (viseme / viseme.sum(3, True), phoneme / phoneme.sum(3, True), articulation.sigmoid(), memory)
        for one, other in zip(said, wanted, strict=True):
            np.testing.assert_allclose(one, other.numpy(), atol=0.03)
            assert np.corrcoef(one.ravel(), other.numpy().ravel())[0, 1] > 0.999
        memory = torch.from_numpy(said[3])
    np.testing.assert_allclose(said[0].sum(3), 1, atol=1e-5)


@given(st.integers(1, 5), st.integers(1, 90), st.integers(0, 999))
def test_a_matrix_comes_back_from_bytes(rows, columns, seed):
    pytest.importorskip("onnx")
    from models.training.phoneme_export import dequantized, quantized

    matrix = np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)
    values, scales = quantized(matrix)
    assert np.abs(dequantized(values, scales, columns) - matrix).max() <= scales.max() / 2 + 1e-6


def test_every_phone_of_the_engines_has_a_row():
    for table in engines._TABLES.values():
        for phone in table.values():
            assert phone == "sil" or engines.to_ipa(phone, "italian"), phone
    assert engines.to_ipa("tt", "russian") == ("t",)
    assert engines.to_ipa("a1", "italian") == ("a",)
    assert engines.to_ipa("ksh", "indian") == ("k", "ʃ")
    assert engines.to_ipa("pau", "") == ("sil",)


@pytest.mark.parametrize("engine", ["flite", "festival"])
def test_an_engine_speaks_with_times(engine):
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    voice = next(v for v in engines.VOICES if v.engine == engine and v.language == "en")
    sound, segments = next(engines.babble(voice, 1, np.random.default_rng(0)))
    assert np.abs(sound).max() > 0.05
    assert segments[0].phoneme == segments[-1].phoneme == "sil"
    assert segments[-1].end_s == pytest.approx(len(sound) / 16_000, abs=0.2)
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(segments))


def test_nobody_is_on_two_sides():
    assert not corpus.TEST_SPEAKERS & corpus.DEV_SPEAKERS
    clips = [corpus.Clip("wuw", "en", f"call{n:05d}", Path(), ()) for n in range(400)]
    counts = Counter(clip.split for clip in clips)
    assert counts == {"train": 340, "test": 40, "dev": 20}


@pytest.mark.parametrize("steps", [1, 7])
def test_the_quick_gru_is_the_gru(steps):
    torch.manual_seed(0)
    gru = torch.nn.GRU(24, 24, batch_first=True)
    answers = []
    for run in (gru, lambda x, h: quick_gru.run(gru, x, h)):
        torch.manual_seed(1)
        heard, start, weight = (torch.randn(s) for s in ((3, steps, 24), (1, 3, 24), (3, steps, 24)))
        heard.requires_grad_(), start.requires_grad_(), gru.zero_grad()
        said, last = run(heard, start)
        ((said * weight).sum() + last.square().sum()).backward()
        answers.append([said, last, heard.grad, start.grad, *(p.grad.clone() for p in gru.parameters())])
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_network_grows_from_an_exported_one(tmp_path):
    pytest.importorskip("onnx")
    from models.training.phoneme_export import export
    from models.training.phoneme_growth import exported_weights, grow, restored

    torch.manual_seed(0)
    small = PhonemeNetwork(front=8, width=64, head=32, recent=16).eval()
    export(small, tmp_path / "n.onnx")
    weights = exported_weights(tmp_path / "n.onnx")
    same = restored(tmp_path / "n.onnx")
    wide = PhonemeNetwork(front=8, width=96, head=40, recent=20).eval()
    assert grow(weights, wide, seed=0) == ["voice.weight", "voice.bias"]  # nobody asks it at run time
    heard = torch.randn(2, 4 * 12, mel.BANDS)
    with torch.no_grad():
        before, alike, grown = (n(heard, torch.zeros(2, n.memory_size))[0] for n in (small, same, wide))
    torch.testing.assert_close(alike, before, atol=0.02, rtol=0.02)
    export(same, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "n.onnx").read_bytes()
    assert (grown - before).std() < 0.3 * before.std(dim=(0, 1)).mean()


def test_lips_close_sooner_where_that_finds_more_of_them():
    random = np.random.default_rng(0)
    true = random.choice(len(VISEMES), 4000, p=np.r_[0.4, 0.06, 0.06, np.full(12, 0.04)])
    said = random.dirichlet(np.full(len(VISEMES), 0.3), 4000)
    said[np.arange(4000), true] += 0.4
    said[:, 1:3] *= 0.4  # both lips are heard too seldom
    bias = operating_point.lip_bias((said / said.sum(1, keepdims=True)).astype(np.float32), true)
    assert bias[1] > 0.3
    assert bias[2] > 0.3
    assert not bias[[0, *range(3, 15)]].any()


def test_an_ablation_leaves_out_what_it_says():
    people, made = shard_of([["a", "p"]]), shard_of([["s", "s"]])
    spans = {
        "so762": people.spans["x"],
        "ljspeech": people.spans["x"],
        "nonspeech": made.spans["x"],
        "flite-slt": [[0, 2]],
    }
    shards = [replace(people, spans=spans), replace(made, spans={"espeak-de": made.spans["x"]})]
    assert [list(s.spans) for s in without(shards, "so762")] == [["ljspeech", "nonspeech", "flite-slt"], ["espeak-de"]]
    assert [list(s.spans) for s in without(shards, made=False)] == [["so762", "ljspeech", "nonspeech"]]
