"""The card of a published model or data set, written from the manifests of its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CardData, DatasetCardData, ModelCard, ModelCardData, RepoCard

from orchestrator.recipe.policy import parse_policy
from orchestrator.report.table import Line, lines, percent, points, span
from orchestrator.secrets import redact
from orchestrator.trace.record import Record

CARD = "README.md"
PAPER = "2602.00181"
TAGS = ["camera-motion", "video", f"arxiv:{PAPER}"]
LICENSES = {
    "synthetic": ("apache-2.0", "rendered by this project, Apache-2.0"),
    "camreasoning": ("other", "CamReasoner's questions: no licence stated; CameraBench's clips"),
    "camerabench": ("other", "CameraBench: clips CC BY 4.0; training annotations on request"),
    "shotbench": ("apache-2.0", "ShotBench: Apache-2.0"),
}
"""By source: the Hub's identifier, and in words."""
UNKNOWN = ("other", "see where the questions and clips come from")
OWN = {"license": "apache-2.0"}, "Apache-2.0: built and trained by this project alone"
PRIVATE = ("cluster", "review", "expected")
"""Sections of a recipe that are about a machine, not about the result."""


def model_card(record: Record, what: str) -> str:
    """The card of the policy called `what`."""
    policy = parse_policy(what)
    kind, base = record.recipe["stages"][policy.stage]["kind"], record.recipe["model"]["path"]
    license, words = base_license(record.directory / "model" / "checkpoint") if base else OWN
    data = ModelCardData(
        base_model=base if base and not Path(base).is_dir() else None,
        library_name="transformers",
        pipeline_tag="video-text-to-text",
        tags=[*TAGS, "grpo" if kind == "rl" else "sft"],
        **license,
    )
    checks = record.manifests.get(policy.stage, {}).get("metrics", {}).get("merge", {})
    folder = (record.directory / policy.stage / policy.folder).resolve()
    return _render(data, record, kind, words, base=base, merge=checks.get(folder.name))


def data_card(record: Record) -> str:
    """The card of the questions."""
    sources = [LICENSES.get(name, UNKNOWN) for name in record.recipe["data"]["sources"]]
    names = {name for name, _ in sources}
    data = DatasetCardData(
        license=names.pop() if len(names) == 1 else "other",
        task_categories=["visual-question-answering"],
        tags=TAGS,
    )
    return _render(data, record, "data", "; ".join(words for _, words in sources))


def base_license(checkpoint: Path) -> tuple[dict[str, Any], str]:
    """Licence of the base model by its own card: fields of a card, and words for people."""
    card = checkpoint / CARD
    data = ModelCard.load(card, ignore_metadata_errors=True).data if card.is_file() else CardData()
    keys = ("license", "license_name", "license_link")
    fields = {key: str(value) for key in keys if (value := data.get(key))}
    if "license" not in fields:
        return {}, "unknown: the base model's card states none; look it up before you share"
    link = f" ({fields['license_link']})" if "license_link" in fields else ""
    name = fields.get("license_name", fields["license"])
    return fields, f"{name}{link}, as the base model"


def _render(data: CardData, record: Record, kind: str, words: str, **facts: Any) -> str:
    public = {key: value for key, value in record.recipe.items() if key not in PRIVATE}
    card = RepoCard.from_template(
        data,
        template_path=str(Path(__file__).with_name("card.md.j2")),
        name=record.name,
        paper=PAPER,
        kind=kind,
        words=words,
        recipe=record.recipe,
        recipe_text=yaml.safe_dump(public, sort_keys=False),
        results=list(_results(record.scores)),
        stages=[_stage(name, manifest) for name, manifest in record.manifests.items()],
        **facts,
    )
    return redact(card.content)


def _results(scores: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """One table a benchmark: questions, and rows of cells."""
    for name, board in ((scores or {}).get("benchmarks") or {}).items():
        rows = [
            (line.name, percent(line.accuracy), span(line.interval), _gain(line))
            for line in lines(dict(board))
        ]
        chance = percent(board["baselines"]["all"]["chance"])
        yield {**board, "name": name.replace("_", " "), "rows": rows, "chance": chance}


def _gain(line: Line) -> str:
    return f"{points(line.gain)} {span(line.gain_interval, signed=True)}" if line.versus else ""


def _stage(name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    code = manifest.get("code") or {}
    gpus = (manifest.get("machine") or {}).get("gpus") or []
    locks = (f"{name} {env['lock'][:8]}" for name, env in manifest.get("environments", {}).items())
    return {
        "name": name,
        "fingerprint": manifest["fingerprint"],
        "minutes": manifest["seconds"] / 60,
        "code": (code.get("commit") or "unknown")[:12] + " with changes" * bool(code.get("dirty")),
        "machine": f"{len(gpus)} {gpus[0]['name']}" if gpus else "CPU",
        "outputs": (manifest.get("outputs") or {}).get("sha256", "")[:16],
        "locks": ", ".join(locks),
    }
