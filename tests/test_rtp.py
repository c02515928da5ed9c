"""RTP arithmetic: packets that aiortc reads back, one media clock, levels, and a calm bitrate."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc import clock
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from realtime.rtp import (
    PLAY_SOON,
    URI_ABS_SEND_TIME,
    URI_AUDIO_LEVEL,
    URI_MID,
    URI_PLAYOUT_DELAY,
    BitratePolicy,
    ExtensionIds,
    MediaClock,
    SentRate,
    audio_level_dbov,
    ntp_timestamp,
    pack_rtp,
    unpack_rtp,
)


def negotiated(**ids: int) -> SimpleNamespace:
    uris = {"mid": URI_MID, "level": URI_AUDIO_LEVEL, "time": URI_ABS_SEND_TIME, "delay": URI_PLAYOUT_DELAY}
    return SimpleNamespace(headerExtensions=[SimpleNamespace(uri=uris[k], id=v) for k, v in ids.items()])


@given(
    st.integers(0, 127),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.booleans(),
    st.binary(min_size=0, max_size=1200),
)
def test_packets_are_read_back_by_aiortc(payload_type, sequence, timestamp, marker, payload):
    parameters = negotiated(mid=3, level=5, time=14)
    ids = ExtensionIds.from_parameters(parameters.headerExtensions)
    extensions = ids.values("video0", 42, 1_700_000_000.25)
    data = pack_rtp(payload_type, sequence, timestamp, 7, marker, extensions, payload)
    reader = HeaderExtensionsMap()
    reader.configure(parameters)
    packet = RtpPacket.parse(data, reader)
    assert (packet.payload_type, packet.sequence_number, packet.timestamp) == (payload_type, sequence, timestamp)
    assert (packet.ssrc, bool(packet.marker), packet.payload) == (7, marker, payload)
    assert packet.extensions.mid == "video0"
    assert packet.extensions.audio_level == (False, 42)
    assert packet.extensions.abs_send_time == ntp_timestamp(1_700_000_000.25) >> 14 & 0xFFFFFF


def test_pictures_carry_a_playout_delay_and_sound_does_not():
    ids = ExtensionIds.from_parameters(negotiated(delay=6, level=2).headerExtensions)
    assert ids.values("0", None, 0.0) == [(6, PLAY_SOON)]
    assert ids.values("0", 30, 0.0) == [(2, b"\x1e")]


def test_only_what_was_negotiated_is_sent():
    ids = ExtensionIds.from_parameters(negotiated(mid=15).headerExtensions)
    assert ids.values("0", None, 0.0) == []
    assert pack_rtp(96, 1, 2, 3, False, [], b"x")[0] == 0x80


def test_ntp_time_is_aiortcs():
    now = clock.current_datetime()
    assert abs(ntp_timestamp(now.timestamp()) - clock.datetime_to_ntp(now)) < 1 << 14  # 4 microseconds


def test_two_tracks_on_one_clock_share_their_time_however_late_they_are_sent():
    media = MediaClock()
    media.anchor(0.0, 1000.0)
    media.anchor(4.0, 9999.0)  # a late packet does not move the clock
    assert media.ntp(48_000 * 12 / 48_000) == media.ntp(90_000 * 12 / 90_000) == ntp_timestamp(1012.0)


def test_no_report_before_the_first_packet():
    with pytest.raises(AssertionError):
        MediaClock().ntp(0.0)


@given(
    st.integers(0, 127),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 15),
    st.integers(0, 3),
    st.binary(max_size=1200),
)
def test_packets_of_aiortc_are_read(payload_type, sequence, timestamp, sources, padding, payload):
    packet = RtpPacket(payload_type, 1, sequence, timestamp, 0xDEADBEEF, payload)
    packet.csrc, packet.padding_size = list(range(sources)), padding
    packet.extensions.mid = "audio"
    extensions = HeaderExtensionsMap()
    extensions.configure(negotiated(mid=3))
    assert unpack_rtp(packet.serialize(extensions)) == (payload_type, sequence, timestamp, 0xDEADBEEF, payload)


@given(st.binary(max_size=60), st.integers(0x80, 0xBF))
def test_garbage_is_read_as_aiortc_reads_it_or_refused(rest, first):
    data = bytes([first]) + rest
    try:
        theirs = RtpPacket.parse(data)
    except ValueError:
        theirs = None
    try:
        ours = unpack_rtp(data)
    except ValueError:
        assert theirs is None
    else:
        # What a broken extension holds is nobody's business here; where the payload begins is.
        assert theirs is None or ours.payload == theirs.payload


def test_level_follows_rfc_6464():
    tone = 32767 * np.sin(2 * np.pi * 1000 * np.arange(960) / 48_000)
    assert audio_level_dbov(tone.astype(np.int16)) == 3  # a full sine has -3 dBov
    assert audio_level_dbov((tone / 1000).astype(np.int16)) == pytest.approx(63, abs=1)
    assert audio_level_dbov(np.zeros(960, np.int16)) == 127
    assert audio_level_dbov(np.zeros(0, np.int16)) == 127
    assert audio_level_dbov(np.full(960, -32768, np.int16)) == 0


def policy() -> BitratePolicy:
    return BitratePolicy(start_bps=1_000_000, least_bps=250_000, most_bps=2_500_000)


def test_a_low_estimate_of_an_idle_line_changes_nothing():
    rate = policy()
    for second in range(30):
        assert rate.update(estimate_bps=450_000, sent_bps=300_000, now_s=second) == 1_000_000


def test_congestion_lowers_the_rate_but_not_before_five_seconds():
    rate = policy()
    rates = [rate.update(400_000, 900_000, now_s) for now_s in range(8)]
    assert rates[:5] == [1_000_000] * 5
    assert rates[5] == 360_000


def test_the_rate_sent_is_that_of_the_last_two_seconds():
    rate = SentRate()
    for at_s in range(10):
        rate.sent(1000 * (at_s + 1), float(at_s))
    assert rate.bps(9.0) == 8 * (8000 + 9000 + 10_000) / 2
    assert rate.bps(10.5) == 8 * 10_000 / 2
    assert rate.bps(60.0) == 0


def test_small_changes_are_not_worth_a_key_frame():
    rate = policy()
    assert {rate.update(1_200_000, 900_000, now_s) for now_s in range(60)} == {1_000_000}


@given(st.lists(st.tuples(st.integers(0, 10**8), st.floats(0, 10**7)), max_size=50))
def test_the_rate_keeps_its_bounds_and_its_calm(estimates):
    rate, changed = policy(), []
    for second, (estimate_bps, sent_bps) in enumerate(estimates):
        before = rate.bitrate_bps
        after = rate.update(estimate_bps, sent_bps, float(second))
        assert 250_000 <= after <= 2_500_000
        if after != before:
            changed.append(second)
    assert all(later - earlier >= 5 for earlier, later in itertools.pairwise(changed))
