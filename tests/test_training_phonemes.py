"""How the encoder is trained: disguises keep time, labels land on their frames, streaming equals training."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import mel
from models.training import augment, batches, corpus, nonspeech
from models.training.phoneme_network import DELAYS, WIDTHS, PhonemeNetwork
from models.visemes import ARTICULATION, PHONEME_INDEX

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
    ],
    ids=["opus 16", "opus 6", "telephone", "room", "noise", "clip"],
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
    viseme, classes, articulation = batches.targets(phoneme, progress)
    assert (viseme[10:] == -100).all()
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
    features = torch.randn(2, 4 * 12, mel.BANDS)
    with torch.no_grad():
        whole, end = network(features, torch.zeros(2, network.memory_size))
        memory, parts = torch.zeros(2, network.memory_size), []
        for chunk in features.split(4, dim=1):
            logits, memory = network(chunk, memory)
            parts.append(logits)
    assert whole.shape == (2, 12, len(DELAYS), 4, sum(WIDTHS))
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(memory, end, atol=1e-4, rtol=1e-4)


def test_no_head_hears_the_future():
    torch.manual_seed(0)
    network = PhonemeNetwork(front=8, width=16, head=12, recent=6).eval()
    features = torch.randn(1, 4 * 8, mel.BANDS)
    other = features.clone()
    other[:, 4 * 5 :] += 1
    with torch.no_grad():
        start = torch.zeros(1, network.memory_size)
        before, after = network(features, start)[0], network(other, start)[0]
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5], after[:, 5])
