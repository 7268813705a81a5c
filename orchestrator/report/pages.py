"""Write `report.html`, a page that needs no other file, and `report.md` with its figures."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from orchestrator.report import figures, table
from orchestrator.report.examples import Example, choose
from orchestrator.report.sources import Run, read_run

TEMPLATES = Path(__file__).parent / "templates"
MOST_EXAMPLES = 36


class Figure(NamedTuple):
    """A figure that was drawn."""

    name: str
    file: str
    address: str
    """`data:` address of the PNG."""


def write_report(run_dir: Path) -> Path:
    """Write the report of the run in `runs/<name>` and return the path of `report.html`.

    What hasn't run yet is said to be missing. `FileNotFoundError` where there is no run.
    """
    return write_pages(read_run(run_dir), run_dir / "report")


def write_pages(run: Run, out: Path) -> Path:
    """Write the pages and figures of `run` into `out`; returns the path of `report.html`."""
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "run": run,
        "scores": run.scores,
        "lines": table.lines,
        "baselines": table.baselines,
        "groups": _groups(run.scores),
        "headline": headline(run.scores),
        "figures": draw(run, out),
        "examples": _examples(run),
        "settings": settings(run.recipe),
        **{name: getattr(table, name) for name in ("percent", "points", "span", "p_value")},
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("report.md", "report.html"):
        text = environment.get_template(f"{name}.j2").render(facts)
        partial = out / f".{name}.partial"
        partial.write_text(text)
        os.replace(partial, out / name)
    return out / "report.html"


def draw(run: Run, out: Path) -> dict[str, Figure]:
    """Draw what there are numbers for."""
    drawn: dict[str, bool] = {}
    if run.scores is not None:
        drawn["scores"] = figures.draw_scores(run.scores, out / "scores.png")
        drawn["confusion"] = figures.draw_confusion(run.scores, out / "confusion.png")
    drawn["sft"] = figures.draw_curves(run.sft, figures.SFT, out / "sft.png", wide=2)
    drawn["rl"] = figures.draw_curves(run.rl, figures.RL, out / "rl.png", wide=4)
    return {
        name: Figure(name, f"{name}.png", _data_address(out / f"{name}.png"))
        for name, done in drawn.items()
        if done
    }


def headline(scores: dict[str, Any] | None) -> str:
    """The result in one sentence."""
    if scores is None:
        return "Not evaluated yet."
    said = [
        f"{line.name} {table.percent(line.accuracy)} % ({table.span(line.interval)})"
        for line in table.lines(scores)
    ]
    majority = table.percent(scores["baselines"]["all"]["majority"])
    return (
        f"Accuracy on {scores['n']:,} held-out questions about {scores['clips']:,} clips: "
        f"{', '.join(said)}. Always giving the most frequent answer scores {majority} %."
    )


def settings(recipe: Any) -> dict[str, str]:
    """The recipe's values that a reader asks for first; those that it has."""
    wanted = {
        "seed": "seed",
        "frames a second": "frames.fps",
        "frames": "frames.max_frames",
        "pixels a frame": "frames.max_pixels",
        "SFT epochs": "sft.epochs",
        "SFT steps": "sft.max_steps",
        "RL trainer": "rl.trainer",
        "advantage": "rl.advantage",
        "group size G": "rl.group_size",
        "format weight λ": "rl.reward.format_weight",
        "EMA β": "rl.ema.beta",
        "KL coefficient": "rl.kl.kl_coef",
        "RL learning rate": "rl.learning_rate",
    }
    found = {name: _dig(recipe, dotted) for name, dotted in wanted.items()}
    return {name: f"{value}" for name, value in found.items() if value is not None}


def _groups(scores: dict[str, Any] | None) -> list[tuple[str, list[str]]]:
    """The tables below the headline: a title, and the groups that are its blocks."""
    if scores is None:
        return []
    kinds = {"task": "Tasks", "dataset": "Data sets", "category": "Categories"}
    found = [
        (title, [name for name in scores["baselines"] if name.startswith(f"{kind}/")])
        for kind, title in kinds.items()
    ]
    return [(title, names) for title, names in found if len(names) > 1]


def _examples(run: Run) -> list[Example]:
    if not run.answers or run.index is None or run.config is None:
        return []
    return choose(run.answers, run.index, run.config.prompt.tags, MOST_EXAMPLES)


def _dig(tree: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        if not isinstance(tree, dict) or key not in tree:
            return None
        tree = tree[key]
    return tree


def _data_address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
