"""The report of a run with made-up numbers: complete, partial, and broken."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fabricated import fabricate, noise_samples
from rich.console import Console

from orchestrator.report.__main__ import main
from orchestrator.report.examples import order
from orchestrator.report.figures import PANELS, curves, draw_curves, smooth
from orchestrator.report.pages import headline, settings, write_pages, write_report
from orchestrator.report.sources import ReportError, Run, Training, read_run
from orchestrator.report.table import lines, p_value, percent, points, span, summary_table
from reward_plugins.rows import RowError

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


def board(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "eval/scores.json").read_text())["benchmarks"]["held_out"]


def chunk(run_dir: Path, name: str) -> list[Any]:
    """The arguments of the call in a script of the examples."""
    text = (run_dir / "report/examples/held_out" / f"{name}.js").read_text()
    return json.loads(re.sub(r"^report\.\w+\((.*)\);\n$", r"[\1]", text))


def test_the_page_is_well_formed_and_its_figures_are_in_it(page: str) -> None:
    html = page[: page.index("<script>")]
    assert Strict(html.replace("</main>", "</main></body></html>")).open == []
    addresses = re.findall(r'(?:src|href)="([^"]{0,40})', html)
    assert addresses and all(address.startswith("data:image/png;base64,") for address in addresses)


def test_the_page_shows_scores_baselines_and_curves(page: str, run_dir: Path) -> None:
    for line in lines(board(run_dir)):
        assert f'<td class="big">{percent(line.accuracy)}</td>' in page
        assert span(line.interval) in page
    for words in ("always &#34;", "text alone", "swapped clip", "macro", "balanced", "tokens"):
        assert words in page
    for alt in ("accuracy by task", "sft curves", "rl curves", "confusion"):
        assert f'alt="{alt}"' in page
    assert "Not run yet" not in page


def test_every_question_is_among_the_examples_with_its_frames(page: str, run_dir: Path) -> None:
    name, index = chunk(run_dir, "index")
    _, number, texts = chunk(run_dir, "0")
    assert (name, number, len(texts), len(index["verdicts"])) == ("held_out", 0, 16, 16)
    assert index["checkpoints"] == list(NAMES)
    for text in texts:
        assert (run_dir / "report/examples/frames" / text["strips"][0][0]).stat().st_size > 500
        assert len(text["answers"]) == 3
    assert any("So the camera turns." in str(text) for text in texts)


def test_text_of_a_run_is_escaped_in_the_page(run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    own = scores["benchmarks"]["held_out"]["baselines"]["all"]
    own["majority_answer"] = "<b>&"
    sentence = next(headline(scores))
    assert "<b>&" in sentence
    run = read_run(run_dir)
    run.__dict__["scores"] = scores
    page = write_pages(run, run_dir / "escaped").read_text()
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page[: page.index("<script>")]


def test_the_markdown_has_the_table_and_its_figures_exist(run_dir: Path, page: str) -> None:
    text = (run_dir / "report/report.md").read_text()
    assert [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| **")] == [
        "**base**",
        "**sft**",
        "**rl**",
    ] * 2  # the accuracies, and the other measures
    figures = re.findall(r"\]\(([\w-]+\.png)\)", text)
    assert set(figures) == {"held_out-scores.png", "held_out-confusion.png", "sft.png", "rl.png"}
    assert all((run_dir / "report" / name).stat().st_size > 5000 for name in figures)


def test_examples_take_turns_and_start_with_what_changed(run_dir: Path, page: str) -> None:
    questions = order(read_run(run_dir).answers["held_out"])
    patterns = {question.verdicts for question in questions}
    first = [question.verdicts for question in questions[: len(patterns)]]
    assert set(first) == patterns and len(questions) == 16
    assert first[0][-1] == "1" and len(set(first[0])) == 2


def test_the_stage_writes_the_same_page(run_dir: Path, page: str, tmp_path: Path) -> None:
    stages = {name: str(run_dir / name) for name in ("sft", "rl", "eval")}
    recipe = json.loads((run_dir / "recipe.json").read_text())
    config = tmp_path / "report.json"
    config.write_text(json.dumps({"recipe": recipe, "stages": stages, "out": str(tmp_path)}))
    main([str(config)])
    tables = re.compile(r"<section.*?</section>", re.DOTALL)
    assert tables.findall((tmp_path / "report.html").read_text())[0] == tables.findall(page)[0]
    assert (tmp_path / "examples/held_out/0.js").is_file()


def test_stages_that_have_not_run_are_said_to_be_missing(tmp_path: Path) -> None:
    stages = {"cold": {"kind": "sft"}, "hard": {"kind": "sample"}, "reason": {"kind": "rl"}}
    (tmp_path / "recipe.json").write_text(json.dumps({"name": "new", "stages": stages}))
    page = write_report(tmp_path).read_text()
    missing = re.findall("Not run yet: (make .*?) RECIPE=new<", page)
    assert missing == ["make eval", "make stage STAGE=cold", "make stage STAGE=reason"]
    assert "Not evaluated yet." in page
    for title in ("Supervised fine-tuning: cold", "Reinforcement learning: reason"):
        assert f"<h2>{title}</h2>" in page


def test_no_run_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no recipe"):
        write_report(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(ReportError, match=r"recipe\.json is not JSON"):
        write_report(tmp_path)


def training(directory: Path, kind: str = "rl", **section: object) -> Training:
    """What a stage of the kind, whose directory is this, has logged."""
    recipe = {"stages": {"a": {"kind": kind}}, kind: section}
    [found] = Run(recipe, {"a": directory}).training
    return found


def test_a_half_written_last_row_of_a_log_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "data": {"x": 2}}\n{"step": 2, "da')
    assert training(tmp_path).rows == [{"x": 2, "step": 1}]
    (tmp_path / "metrics.jsonl").write_text('{"step" 1}\n')
    with pytest.raises(RowError, match=r"metrics\.jsonl, line 1 is damaged"):
        training(tmp_path)


def test_the_share_of_groups_kept_follows_from_the_prompts_generated(tmp_path: Path) -> None:
    data = {"training/filter_groups/generated_prompts": 160}
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "data": data}) + "\n")
    [row] = training(tmp_path, prompts_per_step=64).rows
    assert row["groups/kept_share"] == pytest.approx(0.4)


def test_each_stage_that_trains_has_its_own_batch_and_its_failed_responses(tmp_path: Path) -> None:
    data = {"training/filter_groups/generated_prompts": 160, "training/failed_responses": 2}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps({"step": 1, "data": data}) + "\n")
    stages = {
        "one": {"kind": "rl"},
        "hard": {"kind": "sample"},
        "two": {"kind": "rl", "prompts_per_step": 32},
    }
    recipe = {"name": "new", "stages": stages, "rl": {"prompts_per_step": 64}}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    one, two = read_run(tmp_path).training
    assert (one.name, two.name, one.failed_responses) == ("one", "two", 2)
    assert [t.rows[0]["groups/kept_share"] for t in (one, two)] == pytest.approx([0.4, 0.2])
    assert "2 responses failed" in write_report(tmp_path).read_text()


def test_the_newest_trainer_state_gives_the_sft_curve(tmp_path: Path) -> None:
    for step in (9, 10):
        state = {"global_step": step, "log_history": [{"step": step, "loss": 1.0}, {"eval": 1}]}
        path = tmp_path / f"checkpoints/checkpoint-{step}/trainer_state.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(state))
    assert training(tmp_path, "sft").rows == [{"step": 10, "loss": 1.0}]


def test_curves_without_values_are_not_drawn(tmp_path: Path) -> None:
    assert draw_curves([{"step": 1, "foreign": 3.0}], tmp_path / "none.png") == 0
    assert not (tmp_path / "none.png").exists()


def test_a_part_of_ones_own_reward_has_its_curve() -> None:
    rows = [{"step": n, "reward/score": 0.5, "reward/length": n / 4} for n in (1, 2)]
    found = {panel.title: drawn for panel, drawn in curves(rows, PANELS)}
    assert found == {
        "Reward, overall": {"score": [(1, 0.5), (2, 0.5)]},
        "Other parts of the reward": {"length": [(1, 0.25), (2, 0.5)]},
    }


def test_smoothing_starts_at_the_first_value_and_keeps_a_constant() -> None:
    assert smooth([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smooth([1.0, 2.0])[0] == 1.0 < smooth([1.0, 2.0])[1] < 2.0


def test_the_terminal_table_fits_80_columns(run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(scores))
    text = console.export_text()
    assert "…" not in text
    for line in lines(board(run_dir)):
        assert re.search(rf"{line.name}\s+{line.n}\s+{percent(line.accuracy)}", text)


def test_numbers_are_printed_as_papers_do() -> None:
    assert (percent(0.7845), percent(None), points(-0.0123)) == ("78.5", "-", "-1.2")
    assert span((0.1, 0.25)) == "10.0 to 25.0"
    assert span((-0.01, 0.25), signed=True) == "[-1.0, +25.0]"
    assert (p_value(None), p_value(5e-7), p_value(0.04)) == ("", "< 0.001", "0.040")


def test_the_headline_names_the_majority_baseline(run_dir: Path) -> None:
    scores = json.loads((run_dir / "eval/scores.json").read_text())
    own = board(run_dir)["baselines"]["all"]
    said = f'answering "{own["majority_answer"]}" scores {percent(own["majority"])} %'
    assert said in next(headline(scores))


def test_what_the_audit_of_the_data_found_heads_the_report(run_dir: Path) -> None:
    findings = ["a/train: 3 of 9 questions show clips of the test split <b>"]
    audit = run_dir / "data" / "audit.json"
    audit.write_text(json.dumps({"findings": findings}))
    try:
        page = write_report(run_dir).read_text()
    finally:
        audit.unlink()
    said = "Data: a/train: 3 of 9 questions show clips of the test split &lt;b&gt;."
    assert said in page and page.index(said) < page.index("<section")
    assert "> Data: a/train: 3 of 9" in (run_dir / "report" / "report.md").read_text()


def test_what_a_stage_of_sampling_lost_is_told(tmp_path: Path) -> None:
    counts = {"responses": 8, "failed": 1, "unreadable": 0}
    for name, failed in (("asked", 1), ("whole", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept.json").write_text(json.dumps({**counts, "failed": failed}))
    found = Run({}, {name: tmp_path / name for name in ("asked", "whole")}).data_findings
    assert found == ["asked: 1 of 8 responses failed, and the clips of 0 questions can't be read"]


def test_settings_are_those_the_recipe_has() -> None:
    stages = {"one": {"kind": "rl"}, "two": {"kind": "rl", "group_size": 4}}
    assert settings({"seed": 0, "stages": stages, "rl": {"group_size": 8, "kl": None}}) == {
        "seed": "0",
        "one: start": "base",
        "one: group size G": "8",
        "two: start": "one",
        "two: group size G": "4",
    }
