"""Every metric that the dashboard names exists, and the page of metrics fills as a session runs."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from realtime.metrics import Metrics
from tests.fake_media import until
from tests.fakes import config, service
from tests.test_session import OFFER

DASHBOARD = Path(__file__).parents[1] / "docs/grafana.json"


def names(metrics: Metrics) -> set[str]:
    """Of every series: a histogram has `_bucket`, `_sum` and `_count`, a counter `_total`."""
    found = set()
    for family in text_string_to_metric_families(metrics.text().decode()):
        found |= {family.name + "_total"} if family.type == "counter" else {family.name}
        if family.type == "histogram":
            found |= {family.name + ending for ending in ("_bucket", "_sum", "_count")}
    return found


def test_the_dashboard_names_nothing_that_is_not_there() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = set(re.findall(r"\b(?:mouthpiece|process)_\w+", " ".join(queries)))
    assert len(named) > 20 and not named - names(Metrics())


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    text = DASHBOARD.read_text()
    ours = {family.name for family in Metrics().registry.collect() if family.name.startswith("mouthpiece_")}
    assert not [name for name in ours if name not in text and name != "mouthpiece_avatar_load_seconds"]


async def test_a_session_fills_them(tmp_path: Path) -> None:
    made, _, _ = service(config(tmp_path))
    await made.start()
    watching = asyncio.create_task(made.watch_loop())
    session, _ = await made.sessions.begin(OFFER)

    def value(name: str) -> float:
        return made.metrics.registry.get_sample_value(f"mouthpiece_{name}") or 0.0

    await until(lambda: value("encode_seconds_count") >= 2)
    assert value("encode_seconds_sum") > 0 and value("round_trip_seconds_count") and value("lost_share_count")
    assert value("jitter_buffer_seconds_count") and value("loop_lag_seconds_count") and value("step_seconds_count")
    assert (value("sessions"), value("viewers"), value("avatars_warm"), value("avatar_bytes")) == (1, 1, 1, 1000)
    await session.end("deleted")
    watching.cancel()
    await made.stop()
    assert value("sessions") == 0
