"""Every setting of the server: frozen values with their defaults, read from one TOML file.

Reads the file named and four environment variables, nothing else. Sections of the file are the fields of
`Config`; overrides (from the command line) win over the file, and a wrong setting is said in one sentence.

    [server]                              [session]
    port = 8080                           look_ahead_ms = 80
    token = "a secret"                    [tts]
    [engine]                              kind = "openai"
    capacity = 0                          url = "http://localhost:8880/v1"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from models.rates import DEFAULT_LOOK_AHEAD_MS, LOOK_AHEADS_MS
from realtime.errors import BadConfig

ENVIRONMENT = {
    "MOUTHPIECE_TOKEN": "server.token",
    "MOUTHPIECE_TTS_KEY": "tts.key",
    "MOUTHPIECE_DATA_DIR": "avatars.data_dir",
    "MOUTHPIECE_TURN_CREDENTIAL": "media.turn_credential",
}
"""Settings that may come from the environment, so that secrets need not lie in a file."""


def default_data_dir() -> Path:
    """Where user avatars live (XDG base directory specification)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "mouthpiece"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """token: if set, calls that make or change anything need `Authorization: Bearer TOKEN`.
    allow_origins: web origins whose pages may call this server (CORS); `*` is any.
    drain_s: seconds that a stopping server waits for its sessions to fall silent.
    processes: media processes behind one address, which share out the cores (`front`); 0: as many as suit."""

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = ""
    allow_origins: tuple[str, ...] = ("*",)
    drain_s: float = 10.0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """threads: of the networks. drawing_threads: that draw the pictures of a batch; 0: one a core.
    capacity: sessions at once, one more is answered 503; 0: as many as this machine carries, measured at start.
    gpu_cache_bytes: faces kept on a GPU that draws (for each size of picture in use)."""

    device: str = "auto"
    threads: int = 1
    drawing_threads: int = 0
    capacity: int = 0
    gpu_cache_bytes: int = 2_000_000_000


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """margin_ms: how long after its tick a picture is due at first; then as the machine needs (`pacing.Margin`).
    resume_s: how long a session outlives its connection. ping_timeout_s: silence on an open data channel
    after which a client counts as gone. speech_queue_s: speech that may wait to be played.
    microphone_queue_ms: microphone sound that may wait; beyond it the oldest is dropped.
    speech_lead_ms: how much of a new speech is gathered before it starts to play."""

    look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS
    margin_ms: int = 50
    resume_s: float = 15.0
    ping_timeout_s: float = 5.0
    connect_timeout_s: float = 20.0
    max_s: float = 6 * 3600.0
    max_viewers: int = 8
    speech_queue_s: float = 120.0
    microphone_queue_ms: int = 200
    speech_lead_ms: int = 80
    max_text_chars: int = 5000


@dataclass(frozen=True, slots=True)
class AvatarsConfig:
    """default: the avatar of a session that names none, and the first that the page shows; empty: the first by name.
    size_px: side of the pictures of an enrolled avatar. cache_bytes: warm identities kept in memory."""

    data_dir: Path = field(default_factory=default_data_dir)
    default: str = "freya"
    size_px: int = 512
    max_upload_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_stored: int = 200
    cache_bytes: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TtsConfig:
    """kind: `espeak` (offline) or `openai` (any server with `/v1/audio/speech`, at `url`)."""

    kind: str = "espeak"
    url: str = ""
    key: str = ""
    voice: str = ""
    model: str = "tts-1"


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """ice_urls: STUN and TURN servers for the server's own side and, through the page, for the browser's.
    jitter_*: bounds of the adaptive buffer of microphone sound."""

    ice_urls: tuple[str, ...] = ()
    turn_username: str = ""
    turn_credential: str = ""
    jitter_min_ms: int = 20
    jitter_max_ms: int = 120
    video_bitrate_bps: int = 1_000_000
    video_bitrate_max_bps: int = 2_500_000
    audio_bitrate_bps: int = 48_000


@dataclass(frozen=True, slots=True)
class FilmsConfig:
    """Films over HTTP. max_waiting: how many may wait while one is made; one more is answered 503. max_s: longest.
    keep_s, max_kept: how long, and how many, finished ones are kept."""

    max_waiting: int = 4
    max_s: float = 600.0
    keep_s: float = 3600.0
    max_kept: int = 16
    max_audio_bytes: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerConfig = field(default_factory=ServerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    session: SessionConfig = field(default_factory=SessionConfig)
    avatars: AvatarsConfig = field(default_factory=AvatarsConfig)
    tts: TtsConfig = field(default_factory=TtsConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    films: FilmsConfig = field(default_factory=FilmsConfig)


def load(
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Defaults ← file ← environment ← overrides. Raises BadConfig.

    overrides: dotted names to values, such as `{"server.port": 9000}`; None means "not given".
    """
    tree = _read(file) if file else {}
    environment = os.environ if environment is None else environment
    given = {dotted: environment[name] for name, dotted in ENVIRONMENT.items() if environment.get(name)}
    given |= {dotted: value for dotted, value in (overrides or {}).items() if value is not None}
    for dotted, value in given.items():
        section, name = dotted.split(".")
        tree.setdefault(section, {})[name] = value
    config = _build(Config, tree, "")
    _check(config)
    return config


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise BadConfig(f"cannot read the configuration {file}: {error.strerror}; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{file} is not TOML: {error}") from error


def _build(kind: Any, tree: Any, where: str) -> Any:
    if not isinstance(tree, Mapping):
        raise BadConfig(f"'{where}' must be a section: [{where}]")
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    changes = {}
    for name, value in tree.items():
        dotted = f"{where}.{name}" if where else name
        if name not in known:
            raise BadConfig(f"unknown setting '{dotted}'; known here: {', '.join(known)}")
        wanted = hints[name]
        changes[name] = _build(wanted, value, dotted) if is_dataclass(wanted) else _value(wanted, value, dotted)
    return replace(kind(), **changes)


def _value(wanted: Any, value: Any, dotted: str) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if wanted is str and isinstance(value, str):
        return value
    if wanted is int and whole:
        return value
    if wanted is float and (whole or isinstance(value, float)):
        return float(value)
    if wanted is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    if wanted == tuple[str, ...] and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return tuple(value)
    words = {str: "a text", int: "a whole number", float: "a number", Path: "a path"}.get(wanted, "a list of texts")
    raise BadConfig(f"'{dotted}' must be {words}, not {value!r}")


def _check(config: Config) -> None:
    def between(dotted: str, least: float, most: float) -> None:
        section, name = dotted.split(".")
        value = getattr(getattr(config, section), name)
        # Negated, so that NaN (which TOML can say) is refused too.
        if not least <= value <= most:
            raise BadConfig(f"'{dotted}' must be between {least:g} and {most:g}, not {value:g}")

    between("server.port", 0, 65535)
    between("server.drain_s", 0, 600)
    between("server.processes", 0, 64)
    between("engine.threads", 1, 64)
    between("engine.drawing_threads", 0, 64)
    between("engine.capacity", 0, 256)
    between("engine.gpu_cache_bytes", 0, 1 << 40)
    between("session.margin_ms", 0, 1000)
    between("session.resume_s", 0, 600)
    between("session.ping_timeout_s", 1, 120)
    between("session.connect_timeout_s", 1, 120)
    between("session.max_s", 10, 7 * 24 * 3600)
    between("session.max_viewers", 1, 64)
    between("session.speech_queue_s", 1, 3600)
    between("session.microphone_queue_ms", 40, 2000)
    between("session.speech_lead_ms", 0, 1000)
    between("session.max_text_chars", 1, 20_000)
    between("avatars.size_px", 128, 1024)
    between("avatars.max_upload_bytes", 10_000, 200_000_000)
    between("avatars.max_pixels", 10_000, 200_000_000)
    between("avatars.max_stored", 0, 100_000)
    between("avatars.cache_bytes", 0, 1 << 40)
    between("media.jitter_min_ms", 20, 500)
    between("media.jitter_max_ms", config.media.jitter_min_ms, 1000)
    between("media.video_bitrate_bps", 100_000, 20_000_000)
    between("media.video_bitrate_max_bps", config.media.video_bitrate_bps, 50_000_000)
    between("media.audio_bitrate_bps", 6_000, 256_000)
    between("films.max_waiting", 0, 1000)
    between("films.max_s", 1, 6 * 3600)
    between("films.keep_s", 1, 7 * 24 * 3600)
    between("films.max_kept", 1, 1000)
    between("films.max_audio_bytes", 10_000, 2_000_000_000)
    if config.engine.device not in ("auto", "cpu", "cuda"):
        raise BadConfig(f"'engine.device' must be auto, cpu or cuda, not {config.engine.device!r}")
    if config.session.look_ahead_ms not in LOOK_AHEADS_MS:
        choices = ", ".join(map(str, LOOK_AHEADS_MS))
        raise BadConfig(f"'session.look_ahead_ms' must be one of {choices}, not {config.session.look_ahead_ms}")
    if config.tts.kind not in ("espeak", "openai"):
        raise BadConfig(f"'tts.kind' must be espeak or openai, not {config.tts.kind!r}")
    if config.tts.kind == "openai" and not config.tts.url.startswith(("http://", "https://")):
        raise BadConfig("'tts.url' must be the address of a speech server, such as http://localhost:8880/v1")
    for url in config.media.ice_urls:
        if not url.startswith(("stun:", "stuns:", "turn:", "turns:")):
            raise BadConfig(f"'media.ice_urls' takes stun: and turn: addresses, not {url!r}")
