"""Write `report.html`, `report.md` with its figures, and the examples that the page reads.

All but the examples is in the page itself: the file alone can be sent on.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from orchestrator.recipe.stages import fill_stages
from orchestrator.report import benchmark, beside, figures, table
from orchestrator.report.examples import write_examples
from orchestrator.report.overview import overview
from orchestrator.report.rollouts import Group, choose_rollouts
from orchestrator.report.sources import Run, Training, read_run
from reward_plugins.files import write_file

NAMES = {
    "camerabench": "CameraBench",
    "motionbench": "MotionBench",
    "refineshot": "RefineShot",
    "shotbench": "ShotBench",
    "vqa": "VQA",
}
"""How benchmarks write themselves."""
TEMPLATES = Path(__file__).parent / "templates"
SECONDS_TO_RELOAD = 60
WIDTHS = {1: "min(100%, 360px)", 2: "min(100%, 720px)"}
"""Of a figure, by its number of plots."""


class Figure(NamedTuple):
    """A figure that was drawn."""

    name: str
    file: str
    address: str
    """`data:` address of the PNG."""


class Panel(NamedTuple):
    """What the page shows of one stage that trains."""

    name: str
    kind: str
    figure: Figure | None
    """Its curves, once there are some."""
    width: str
    """Of the figure, in CSS: a few plots are not drawn as wide as the page."""
    failed: int
    """Responses that are missing because the rollout server failed."""
    rollouts: list[Group]


class Board(NamedTuple):
    """What the page shows of one benchmark."""

    name: str
    title: str
    block: table.Block
    swapped: bool
    """Questions were also asked about other clips."""
    warnings: list[benchmark.Warning]
    measures: tuple[list[benchmark.Measure], list[tuple[str, list[str]]]]
    judging: list[str]
    comparisons: list[beside.Comparison]
    parts: list[tuple[str, list[benchmark.CategoryRow]]]
    figures: dict[str, Figure]


MARKDOWN = re.compile(r"([\\`*\[\]<>|])")
"""What would be more than text in Markdown: names come from recipes and data sets."""


def plain(text: object) -> str:
    """`text` as Markdown shows it letter by letter, in a line."""
    return MARKDOWN.sub(r"\\\1", str(text)).replace("\n", " ")


def write_report(run_dir: Path) -> Path:
    """Write the report of the run in `runs/<name>` and return the path of `report.html`.

    What hasn't run yet is said to be missing. `FileNotFoundError` where there is no run.
    """
    return write_pages(read_run(run_dir), run_dir / "report")


def write_pages(run: Run, out: Path, live: bool = False) -> Path:
    """Write the pages, figures and examples of `run` into `out`; returns `report.html`'s path.

    A `live` page is of a run that goes on: a browser loads it again and again.
    """
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "run": run,
        "lines": table.lines,
        "baselines": table.baselines,
        "benchmarks": _boards(run, out),
        "headline": list(headline(run.scores)),
        "overview": overview(run.scores, {name: _title(name) for name in _blocks(run.scores)}),
        "training": [_training(run, training, out) for training in run.training],
        "examples": _examples(run, out / "examples"),
        "settings": settings(run.recipe),
        "seconds_to_reload": SECONDS_TO_RELOAD if live else None,
        **{name: getattr(table, name) for name in ("percent", "points", "span", "p_value")},
    }
    templates = environment()
    for name in ("report.md", "report.html"):
        write_file(out / name, templates.get_template(f"{name}.j2").render(facts))
    return out / "report.html"


def environment() -> jinja2.Environment:
    """The templates; what they are given is escaped."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["md"] = plain
    return templates


def headline(scores: dict[str, Any] | None) -> Iterator[str]:
    """The result, one sentence a benchmark."""
    if scores is None:
        yield "Not evaluated yet."
    for name, block in _blocks(scores).items():
        said = ", ".join(
            f"{line.name} {table.percent(line.accuracy)} % ({table.span(line.interval)})"
            for line in table.lines(block)
        )
        own = block["baselines"]["all"]
        where = _title(name) if name == "held_out" else f"questions of {_title(name)}"
        yield (
            f"Accuracy on {block['n']:,} {where} about {block['clips']:,} clips: {said}. "
            f"{table.constant(own['majority_answer'])} scores {table.percent(own['majority'])} %."
        )


def _blocks(scores: dict[str, Any] | None) -> dict[str, table.Block]:
    return scores["benchmarks"] if scores else {}


def _boards(run: Run, out: Path) -> list[Board]:
    calibration = (run.scores or {}).get("judge")
    return [_board(name, block, calibration, out) for name, block in _blocks(run.scores).items()]


def _title(name: str) -> str:
    if name == "held_out":
        return "held-out questions"
    return " ".join(NAMES.get(word, word) for word in name.split("_"))


def _board(name: str, block: table.Block, calibration: dict[str, Any] | None, out: Path) -> Board:
    return Board(
        name=name,
        title=_title(name),
        block=block,
        swapped=any("swapped" in checkpoint for checkpoint in block["checkpoints"].values()),
        warnings=list(benchmark.warnings(block)),
        measures=benchmark.measures(block),
        judging=benchmark.judging(block, calibration),
        comparisons=beside.comparisons(block),
        parts=benchmark.parts(block),
        figures=_draw(
            out,
            {
                f"{name}-scores": figures.draw_scores(block, out / f"{name}-scores.png"),
                f"{name}-confusion": figures.draw_confusion(block, out / f"{name}-confusion.png"),
            },
        ),
    )


def _training(run: Run, training: Training, out: Path) -> Panel:
    path = out / f"{training.name}.png"
    panels = figures.draw_curves(training.rows, path)
    return Panel(
        training.name,
        str(run.recipe["stages"][training.name]["kind"]),
        Figure(training.name, path.name, _data_address(path)) if panels else None,
        WIDTHS.get(panels, "100%"),
        training.failed_responses,
        choose_rollouts(training.rollouts),
    )


def _draw(out: Path, drawn: dict[str, bool]) -> dict[str, Figure]:
    """By what a figure shows; those that had something to show."""
    return {
        name.rpartition("-")[2]: Figure(name, f"{name}.png", _data_address(out / f"{name}.png"))
        for name, done in drawn.items()
        if done
    }


def _examples(run: Run, out: Path) -> list[str]:
    """Write the examples of every benchmark that has some, and return their names."""
    shutil.rmtree(out, ignore_errors=True)
    config = run.config
    if config is None:
        return []
    return [
        name
        for name, answers in run.answers.items()
        if write_examples(name, answers, run.index(name), config.prompt.tags, out)
    ]


def settings(recipe: Any) -> dict[str, str]:
    """The recipe's values that a reader asks for first; those that it has."""
    shared = {
        "seed": "seed",
        "frames a second": "frames.fps",
        "frames": "frames.max_frames",
        "pixels a frame": "frames.max_pixels",
    }
    own = {
        "start": "start",
        "epochs": "epochs",
        "steps": "max_steps",
        "trainer": "trainer",
        "advantage": "advantage",
        "group size G": "group_size",
        "format weight λ": "reward.format_weight",
        "EMA β": "ema.beta",
        "KL coefficient": "kl.kl_coef",
        "learning rate": "learning_rate",
    }
    found = {name: _dig(recipe, dotted) for name, dotted in shared.items()}
    for stage, spec in fill_stages(recipe).items():
        found |= {f"{stage}: {name}": _dig(spec, dotted) for name, dotted in own.items()}
    return {name: f"{value}" for name, value in found.items() if value is not None}


def _dig(tree: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def _data_address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
