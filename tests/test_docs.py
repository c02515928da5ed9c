"""The documentation says what the program does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from realtime import config

ROOT = Path(__file__).resolve().parent.parent


def test_the_documented_configuration_is_complete_and_loads(tmp_path):
    text = (ROOT / "docs" / "configuration.md").read_text()
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL).group(1)
    file = tmp_path / "config.toml"
    file.write_text(example)
    loaded = config.load(file, environment={})
    documented = tomllib.loads(example)
    for section in fields(config.Config):
        names = {field.name for field in fields(getattr(loaded, section.name))}
        assert documented[section.name].keys() == names, section.name
    assert loaded == config.load(environment={})


def test_links_of_the_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
