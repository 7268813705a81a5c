"""What the published tables say, and what follows from their cells."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestrator.evaluation.published import Published, derive, remarks, tables

TABLES = {f"{table.source}: {table.title}": table for table in tables()}
PAPER = "CamReasoner (arXiv 2602.00181), Table"
BINARY, VQA = TABLES[f"{PAPER} 1: CameraBench, binary"], TABLES[f"{PAPER} 2: CameraBench, VQA"]


@pytest.mark.parametrize(
    ("model", "weighted", "macro", "follows"),
    [
        ("GPT-4o", 67.05, 66.52, ("macro",)),
        ("LLaVA-Video-7B", 36.09, 36.39, ()),
        ("Qwen2.5-VL-3B", 69.33, 73.23, ("weighted",)),
        ("Qwen2.5-VL-7B", 73.47, 73.77, ("macro",)),
        ("Cam-Motion-72B", 80.54, 80.55, ("macro",)),
        ("CamReasoner-7B", 78.36, 78.51, ("weighted",)),
    ],
)
def test_the_papers_binary_averages_are_of_two_kinds(
    model: str, weighted: float, macro: float, follows: tuple[str, ...]
) -> None:
    found = derive(BINARY, model)
    for (low, high), exact in ((found.weighted, weighted), (found.macro, macro)):
        assert low - 0.005 <= exact <= high + 0.005 and high - low < 0.05
    assert found.follows == follows


def test_the_papers_vqa_averages_are_all_sample_weighted() -> None:
    assert {derive(VQA, model).follows for model in VQA.rows} == {("weighted",)}
    assert "Every average is the sample-weighted mean" in remarks(VQA)[0]


def test_cells_that_no_count_gives_are_named() -> None:
    assert derive(BINARY, "InternVL2.5-8B").impossible == ("category/tilt_up",)
    assert len(derive(BINARY, "InternVL2.5-26B").impossible) == 7
    assert "GPT-4o: no count of right answers gives the cells Motion speed, Only motion." in (
        remarks(VQA)
    )


def test_the_reader_is_told_of_mixed_averages_and_repeated_rows() -> None:
    said = " ".join(remarks(BINARY))
    assert "Only the macro mean gives the average of 7 of 10 rows" in said
    assert "Neither mean gives the average of 1 of 10 rows (LLaVA-Video-7B)" in said
    said = " ".join(remarks(next(t for t in tables() if t.ran_again)))
    assert "14 of 14 rows are those of ShotBench" in said
    assert "2 of 2 rows are those of RefineShot" in said


def test_the_counts_are_the_benchmarks() -> None:
    assert (sum(BINARY.counts), sum(VQA.counts)) == (7679, 14172)


def test_an_average_of_rounded_cells_passes() -> None:
    shotbench = TABLES["ShotBench (arXiv 2506.21356), Table 2: ShotBench"]
    assert derive(shotbench, "InternVL2.5-8B").follows == ("macro",)
    assert derive(shotbench, "ShotVL-3B").follows == ()


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValidationError, match="must have 2 columns"):
        Published(
            title="t",
            source="s",
            dataset="d",
            average="unsaid",
            columns={"category/a": "A"},
            counts=(3,),
            rows={"m": "33.3"},
        )
