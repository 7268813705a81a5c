"""The report of a run with made-up numbers: complete, partial, and broken."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fabricated import fabricate, noise_samples
from rich.console import Console

from orchestrator.report.__main__ import main
from orchestrator.report.examples import choose
from orchestrator.report.figures import RL, draw_curves, smooth
from orchestrator.report.pages import headline, settings, write_report
from orchestrator.report.sources import ReportError, Run, read_run
from orchestrator.report.table import lines, p_value, percent, points, span, summary_table

NAMES = ("base", "sft", "rl")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    return fabricate(tmp_path_factory.mktemp("runs") / "small", noise_samples(root), root, NAMES)


@pytest.fixture(scope="module")
def page(run_dir: Path) -> str:
    return write_report(run_dir).read_text()


class Strict(HTMLParser):
    """Every element that needs an end has one, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.void = {"meta", "img", "input", "br", "link"}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"


def test_the_page_is_well_formed_and_needs_no_other_file(page: str) -> None:
    assert Strict(page).open == []
    addresses = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert addresses and all(address.startswith("data:image/png;base64,") for address in addresses)


def test_the_page_shows_scores_baselines_curves_and_examples(page: str, run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    for line in lines(scores):
        assert f'<td class="big">{percent(line.accuracy)}</td>' in page
        assert span(line.interval) in page
    for words in ("majority answer", "text alone", "swapped clip", "So the camera turns."):
        assert words in page
    for alt in ("accuracy by task", "SFT curves", "RL curves", "confusion"):
        assert f'alt="{alt}"' in page
    assert page.count("<article") == 16 and "Not run yet" not in page


def test_text_of_questions_and_responses_is_escaped(page: str) -> None:
    assert "&lt;b&gt;&amp;" in page and "? <b>&" not in page
    assert "the camera &lt;pan&gt;" in page


def test_the_markdown_has_the_table_and_its_figures_exist(run_dir: Path, page: str) -> None:
    text = (run_dir / "report/report.md").read_text()
    assert [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| **")] == [
        "**base**",
        "**sft**",
        "**rl**",
    ]
    figures = re.findall(r"\]\((\w+\.png)\)", text)
    assert set(figures) == {"scores.png", "confusion.png", "sft.png", "rl.png"}
    assert all((run_dir / "report" / name).stat().st_size > 5000 for name in figures)


def test_examples_take_turns_and_start_with_what_changed(run_dir: Path, page: str) -> None:
    run = read_run(run_dir)
    assert run.index is not None and run.config is not None
    few = choose(run.answers, run.index, run.config.prompt.tags, most=5)
    every = choose(run.answers, run.index, run.config.prompt.tags, most=99)
    patterns = {example.verdicts for example in every}
    assert len({example.verdicts for example in few}) == min(5, len(patterns))
    assert few[0].changed and few[0].verdicts.endswith("✓")
    assert len(every) == 16 and len(every[0].frames) == 4


def test_the_stage_writes_the_same_page(run_dir: Path, page: str, tmp_path: Path) -> None:
    stages = {name: str(run_dir / name) for name in ("sft", "rl", "eval")}
    recipe = json.loads((run_dir / "recipe.json").read_text())
    config = tmp_path / "report.json"
    config.write_text(json.dumps({"recipe": recipe, "stages": stages, "out": str(tmp_path)}))
    main([str(config)])
    examples = re.compile(r"<article.*</article>", re.DOTALL)
    assert examples.findall((tmp_path / "report.html").read_text()) == examples.findall(page)


def test_stages_that_have_not_run_are_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"name": "new"}')
    page = write_report(tmp_path).read_text()
    assert page.count("Not run yet: make") == 3 and "Not evaluated yet." in page


def test_no_run_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no recipe"):
        write_report(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(ReportError, match=r"recipe\.json is not JSON"):
        write_report(tmp_path)


def test_a_half_written_last_row_of_a_log_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "data": {"x": 2}}\n{"step": 2, "da')
    assert Run({}, {"rl": tmp_path}).rl == [{"x": 2, "step": 1}]
    (tmp_path / "metrics.jsonl").write_text('{"step" 1}\n')
    with pytest.raises(ReportError, match=r"metrics\.jsonl:1 is not JSON"):
        _ = Run({}, {"rl": tmp_path}).rl


def test_the_share_of_groups_kept_follows_from_the_prompts_generated(tmp_path: Path) -> None:
    data = {"training/filter_groups/generated_prompts": 160}
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "data": data}) + "\n")
    [row] = Run({"rl": {"prompts_per_step": 64}}, {"rl": tmp_path}).rl
    assert row["groups/kept_share"] == pytest.approx(0.4)


def test_the_newest_trainer_state_gives_the_sft_curve(tmp_path: Path) -> None:
    for step in (9, 10):
        state = {"global_step": step, "log_history": [{"step": step, "loss": 1.0}, {"eval": 1}]}
        path = tmp_path / f"checkpoints/checkpoint-{step}/trainer_state.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(state))
    assert Run({}, {"sft": tmp_path}).sft == [{"step": 10, "loss": 1.0}]


def test_curves_without_values_are_not_drawn(tmp_path: Path) -> None:
    assert not draw_curves([{"step": 1, "foreign": 3.0}], RL, tmp_path / "none.png", wide=2)
    assert not (tmp_path / "none.png").exists()


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert smooth([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smooth([1.0, 2.0])[0] == 1.0 < smooth([1.0, 2.0])[1] < 2.0


def test_the_terminal_table_fits_80_columns(run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(scores))
    text = console.export_text()
    assert "…" not in text
    for line in lines(scores):
        assert re.search(rf"{line.name}\s+{line.n}\s+{percent(line.accuracy)}", text)


def test_numbers_are_printed_as_papers_do() -> None:
    assert (percent(0.7845), percent(None), points(-0.0123)) == ("78.5", "-", "-1.2")
    assert span((0.1, 0.25)) == "10.0 to 25.0"
    assert span((-0.01, 0.25), signed=True) == "[-1.0, +25.0]"
    assert (p_value(None), p_value(5e-7), p_value(0.04)) == ("", "< 0.001", "0.040")


def test_the_headline_names_the_majority_baseline(run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    majority = percent(scores["baselines"]["all"]["majority"])
    assert f"most frequent answer scores {majority} %" in headline(scores)


def test_settings_are_those_the_recipe_has() -> None:
    assert settings({"seed": 0, "rl": {"group_size": 8, "kl": None}}) == {
        "seed": "0",
        "group size G": "8",
    }


def test_none_right_has_an_interval_with_a_width(run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    shown = scores["checkpoints"]["base"]["shown"]["all"]
    shown.update(correct=0, accuracy=0.0, bootstrap=[0.0, 0.0], wilson=[0.0, 0.19])
    assert next(lines(scores)).interval == (0.0, 0.19)
