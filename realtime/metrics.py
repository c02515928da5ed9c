"""Every metric of the server, declared in one place. Prometheus text comes from `Metrics.text()`.

Holds its own registry, so that two servers in one process (tests) do not share counts.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

STAGE_BUCKETS_S = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.015,
    0.02,
    0.03,
    0.04,
    0.06,
    0.08,
    0.1,
    0.12,
    0.13,
    0.14,
    0.15,
    0.16,
    0.18,
    0.2,
    0.25,
    0.3,
    0.5,
    1.0,
)

SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """One attribute a metric; its help text says what it counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"mouthpiece_{name}", words, labels, registry=self.registry)

        def gauge(name: str, words: str) -> Gauge:
            return Gauge(f"mouthpiece_{name}", words, registry=self.registry)

        def histogram(name: str, words: str, buckets: tuple[float, ...] = STAGE_BUCKETS_S) -> Histogram:
            return Histogram(f"mouthpiece_{name}", words, registry=self.registry, buckets=buckets)

        self.sessions = gauge("sessions", "sessions on air")
        self.capacity = gauge("capacity", "sessions that this server takes at once")
        self.viewers = gauge("viewers", "connections that receive media")
        self.sessions_started = counter("sessions_started_total", "sessions begun")
        self.sessions_ended = counter("sessions_ended_total", "sessions ended, by reason", "reason")
        self.refused = counter("refused_total", "requests answered with an error, by code", "code")
        self.chunks = counter("chunks_total", "chunks of 40 ms released to viewers")
        self.late_pictures = counter("late_pictures_total", "chunks whose picture was not ready when due")
        self.skipped_pictures = counter("skipped_pictures_total", "pictures not drawn because the engine was behind")
        self.dropped_chunks = counter(
            "dropped_chunks_total", "chunks that the engine never saw, for being too far behind"
        )
        self.moved_timelines = counter("moved_timelines_total", "times a session's timeline was moved after a stall")
        self.interrupts = counter("interrupts_total", "interruptions of speech")
        self.microphone_trimmed_s = counter("microphone_trimmed_seconds_total", "silence cut out to win latency back")
        self.microphone_dropped_s = counter("microphone_dropped_seconds_total", "sound lost to the microphone bound")
        self.avatars_warm = gauge("avatars_warm", "avatars in memory, ready to draw")
        self.avatar_bytes = gauge("avatar_bytes", "memory that they take")
        self.avatar_load_s = histogram("avatar_load_seconds", "seconds to make an avatar ready that was not in memory")
        self.step_s = histogram("step_seconds", "seconds of one step of the models, all its pictures included")
        self.loop_lag_s = histogram("loop_lag_seconds", "seconds that the event loop was late for a timer")
        self.encode_s = histogram("encode_seconds", "seconds to encode a picture, sampled twice a second and viewer")
        self.round_trip_s = histogram("round_trip_seconds", "round trip to a viewer, sampled twice a second")
        self.jitter_buffer_s = histogram("jitter_buffer_seconds", "delay of a microphone's buffer, sampled likewise")
        self.lost_share = histogram("lost_share", "share of pictures' packets that a viewer reports lost", SHARES)
        self.batch_rows = Histogram(
            "mouthpiece_batch_rows", "sessions in one step", registry=self.registry, buckets=(1, 2, 4, 8, 16, 32, 64)
        )
        self.stage_s = Histogram(
            "mouthpiece_stage_seconds",
            "seconds a chunk spends in each stage; 'total' is from its last sample received to its release",
            ["stage"],
            registry=self.registry,
            buckets=STAGE_BUCKETS_S,
        )

    def text(self) -> bytes:
        """The Prometheus exposition format."""
        return generate_latest(self.registry)
