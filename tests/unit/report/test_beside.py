"""Published tables with our rows, and the warnings that a score needs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fabricated import Saying, evaluated

from data_builders import camerabench
from data_builders.media import video
from data_builders.sample import Sample
from orchestrator.report import benchmark, beside
from orchestrator.report.pages import headline, write_report

SHARED = Path(os.environ.get("CAMREASONER_SHARED_DATA", Path(__file__).parents[4] / "shared/data"))
MOTIONS = (
    "dolly_in", "dolly_out", "pedestal_up", "pedestal_down", "truck_right", "truck_left",
    "zoom_in", "zoom_out", "pan_right", "pan_left", "tilt_up", "tilt_down", "roll_clockwise",
    "roll_counterclockwise", "static",
)  # fmt: skip


def binary(clips: int = 20) -> list[Sample]:
    """Fifteen questions a clip; one is Yes."""
    return [
        Sample(
            id=f"{clip}/{motion}", dataset="camerabench_binary", split="test", task="binary",
            category=motion, media=(video(f"{clip}.mp4"),), question=f"Does the camera {motion}?",
            options=("No", "Yes"), answer="B" if number == clip % 15 else "A",
        )
        for clip in range(clips)
        for number, motion in enumerate(MOTIONS)
    ]  # fmt: skip


def always(letter: str) -> Saying:
    return lambda sample: f"<answer>{letter}</answer>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = {"base": always("B"), "rl": lambda sample: "A camera that moves, so yes"}
    return evaluated(tmp_path_factory.mktemp("run"), binary(), answers)


def block(run: Path) -> dict[str, Any]:
    scores = json.loads((run / "eval/scores.json").read_text())
    found: dict[str, Any] = scores["benchmarks"]["camerabench_binary"]
    return found


def test_a_constant_answer_that_wins_is_said_at_once(run: Path) -> None:
    said = [warning.text for warning in benchmark.warnings(block(run)) if warning.strong]
    assert said[0] == 'Always answering "No" scores 93.3 %: no checkpoint is better.'
    page = write_report(run).read_text()
    assert 'class="hint warn">Always answering &#34;No&#34; scores 93.3 %' in page
    assert 'Always answering "No" scores 93.3 %.' in next(
        headline({"benchmarks": {"camerabench_binary": block(run)}})
    )


def test_our_rows_stand_beside_the_papers_with_both_averages(run: Path) -> None:
    table = beside.comparisons(block(run))[0]
    rows = {row.name: row for row in table.rows}
    assert (table.table.source, len(table.rows)) == ("CamReasoner (arXiv 2602.00181), Table 1", 14)
    base, paper = rows["base"], rows["CamReasoner-7B"]
    assert base.kind == "ours" and base.printed is None
    assert base.weighted == pytest.approx(100 / 15) and base.macro == pytest.approx(100 / 15)
    assert paper.printed == paper.weighted == 78.4 and paper.macro == pytest.approx(78.5, abs=0.05)
    assert rows['always "No"'].weighted == pytest.approx(100 * 14 / 15)
    assert rows["text alone, no clip"].kind == "baseline"


def test_our_answers_are_read_there_as_the_published_rows_were(run: Path) -> None:
    shown = block(run)["checkpoints"]["rl"]["shown"]["all"]
    assert shown["rewarded"] == 0.0  # no answer block
    assert shown["accuracy"] == pytest.approx(1 / 15)  # always Yes
    assert shown["published_rule"] == pytest.approx(14 / 15)  # "A camera" starts with an A: No
    row = next(r for r in beside.comparisons(block(run))[0].rows if r.name == "rl")
    assert row.weighted == pytest.approx(100 * 14 / 15)


def test_the_page_flags_averages_that_do_not_follow(run: Path) -> None:
    page = write_report(run).read_text()
    assert "Only the macro mean gives the average of 7 of 10 rows" in page
    assert '<td class="odd" title="neither mean of its cells">37.7 ≠</td>' in page
    assert "Mean average precision over 15 motions" not in page  # no probabilities: no such table


def test_the_released_vqa_is_called_out(tmp_path: Path) -> None:
    if not (SHARED / "camerabench").is_dir():
        pytest.skip("CameraBench's annotations are not here: set CAMREASONER_SHARED_DATA")
    samples = camerabench.vqa_as_released(SHARED / "camerabench")[::41]
    run = evaluated(tmp_path, samples, {"base": always("A")})
    page = write_report(run).read_text()
    assert "A rule that reads the question alone, and never the clip, scores 100.0 %." in page
