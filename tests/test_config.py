"""Settings come from defaults, a file, the environment and the command line, in that order; mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime.config import Config, load
from realtime.errors import BadConfig


def write(folder: Path, text: str) -> Path:
    file = folder / "mouthpiece.toml"
    file.write_text(text)
    return file


def test_defaults_stand_without_a_file() -> None:
    assert load(None, {}, {}) == Config()


def test_later_sources_win(tmp_path: Path) -> None:
    file = write(tmp_path, '[server]\nport = 1000\nhost = "0.0.0.0"\ntoken = "file"\n[tts]\nvoice = "fr"\n')
    config = load(file, {"server.port": 3000, "server.host": None}, {"MOUTHPIECE_TOKEN": "environment"})
    assert (config.server.port, config.server.host) == (3000, "0.0.0.0")
    assert (config.server.token, config.tts.voice) == ("environment", "fr")


def test_lists_paths_and_whole_numbers_for_seconds_are_read(tmp_path: Path) -> None:
    file = write(
        tmp_path, f'[media]\nice_urls = ["stun:a:1"]\n[avatars]\ndata_dir = "{tmp_path}"\n[session]\nresume_s = 3\n'
    )
    config = load(file, {}, {})
    assert config.media.ice_urls == ("stun:a:1",)
    assert config.avatars.data_dir == tmp_path
    assert isinstance(config.session.resume_s, float)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nport = 'x'", "'server.port' must be a whole number"),
        ("[server]\nport = true", "'server.port' must be a whole number"),
        ("[server]\nport = 70000", "'server.port' must be between 0 and 65535"),
        ("[server]\nprot = 80", "unknown setting 'server.prot'; known here: host, port"),
        ("[sever]\nport = 80", "unknown setting 'sever'"),
        ("server = 3", "'server' must be a section"),
        ("[session]\nlook_ahead_ms = 70", "'session.look_ahead_ms' must be one of 0, 40, 80, 200"),
        ("[session]\nresume_s = nan", "'session.resume_s' must be between"),
        ("[engine]\ndevice = 'tpu'", "must be auto, cpu or cuda"),
        ("[tts]\nkind = 'openai'", "'tts.url' must be the address"),
        ("[tts]\nkind = 'festival'", "'tts.kind' must be espeak or openai"),
        ("[media]\nice_urls = ['http://x']", "stun: and turn:"),
        ("[media]\nice_urls = 'stun:x'", "must be a list of texts"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadConfig, match=r"^[^\n]*$") as caught:
        load(write(tmp_path, text), {}, {})
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"nothing\.toml"):
        load(tmp_path / "nothing.toml", {}, {})
