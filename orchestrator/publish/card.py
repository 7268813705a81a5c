"""The card of a published model or data set, written from the manifests of its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from huggingface_hub import DatasetCardData, ModelCard, ModelCardData

from orchestrator.recipe.policy import Policy, parse_policy
from orchestrator.report.table import lines, percent, points, span
from orchestrator.secrets import redact
from orchestrator.trace.record import Record

CARD = "README.md"
PAPER = "2602.00181"
LICENSES = {
    "synthetic": ("apache-2.0", "rendered by this project, Apache-2.0"),
    "camreasoning": ("other", "CamReasoner's questions: no licence stated; CameraBench's clips"),
    "camerabench": ("other", "CameraBench: clips CC BY 4.0; training annotations on request"),
    "shotbench": ("apache-2.0", "ShotBench: Apache-2.0"),
}
"""By source: the Hub's identifier, and in words."""
UNKNOWN = ("other", "see where the questions and clips come from")
OWN = {"license": "apache-2.0", "words": "Apache-2.0: built and trained by this project alone"}
PRIVATE = ("cluster", "review", "expected")
"""Sections of a recipe that are about a machine, not about the result."""


def model_card(record: Record, what: str) -> str:
    """The card of the policy called `what`."""
    policy = parse_policy(what)
    kind = record.recipe["stages"][policy.stage]["kind"]
    made = record.manifests.get(policy.stage, {}).get("metrics", {}).get("merge", {})
    base = record.recipe["model"]["path"]
    license = base_license(record.directory / "model" / "checkpoint") if base else OWN
    data = ModelCardData(
        base_model=base if base and not Path(base).is_dir() else None,
        library_name="transformers",
        pipeline_tag="video-text-to-text",
        tags=["camera-motion", "video", "grpo" if kind == "rl" else "sft", f"arxiv:{PAPER}"],
        license=license.get("license"),
        license_name=license.get("license_name"),
        license_link=license.get("license_link"),
    )
    facts = {"what": what, "kind": kind, "base": base, "merge": made.get(_merged(record, policy))}
    return _render("model", data.to_yaml(), record, license=license["words"], **facts)


def _merged(record: Record, policy: Policy) -> str:
    """The folder of a policy by its step, as the check of the merge names it."""
    folder = record.directory / policy.stage / policy.folder
    return folder.resolve().name


def data_card(record: Record) -> str:
    """The card of the questions."""
    sources = [LICENSES.get(name, UNKNOWN) for name in record.recipe["data"]["sources"]]
    names = {name for name, _ in sources}
    data = DatasetCardData(
        license=names.pop() if len(names) == 1 else "other",
        task_categories=["visual-question-answering"],
        tags=["camera-motion", "video", f"arxiv:{PAPER}"],
    )
    words = "; ".join(words for _, words in sources)
    return _render("dataset", data.to_yaml(), record, what="data", license=words)


def base_license(checkpoint: Path) -> dict[str, str]:
    """Licence of the base model by its own card; fields of a card, and `words` for people."""
    card = checkpoint / CARD
    stated = (
        ModelCard.load(card, ignore_metadata_errors=True).data.to_dict() if card.is_file() else {}
    )
    found = {
        key: str(stated[key])
        for key in ("license", "license_name", "license_link")
        if stated.get(key)
    }
    if not found.get("license"):
        return {"words": "unknown: the base model's card states none; look it up before you share"}
    name = found.get("license_name", found["license"])
    link = f" ({found['license_link']})" if "license_link" in found else ""
    return {**found, "words": f"{name}{link}, as the base model"}


def _render(template: str, header: str, record: Record, **facts: Any) -> str:
    folder = Path(__file__).with_name("templates")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    recipe = {key: value for key, value in record.recipe.items() if key not in PRIVATE}
    text = environment.get_template(f"{template}.md.j2").render(
        name=record.name,
        paper=PAPER,
        recipe=yaml.safe_dump(recipe, sort_keys=False),
        r=record.recipe,
        results=list(_results(record.scores)),
        stages=[_stage(name, manifest) for name, manifest in record.manifests.items()],
        **facts,
    )
    return redact(f"---\n{header}\n---\n{text}")


def _results(scores: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """One table a benchmark: questions, and rows of cells."""
    for name, found in ((scores or {}).get("benchmarks") or {}).items():
        rows = [
            (
                line.name,
                percent(line.accuracy),
                span(line.interval),
                f"{points(line.gain)} {span(line.gain_interval, signed=True)}"
                if line.versus
                else "",
            )
            for line in lines(dict(found))
        ]
        chance = percent(found["baselines"]["all"]["chance"])
        yield {
            "name": name.replace("_", " "),
            "n": found["n"],
            "clips": found["clips"],
            "rows": rows,
            "chance": chance,
        }


def _stage(name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    code = manifest.get("code") or {}
    gpus = (manifest.get("machine") or {}).get("gpus") or []
    locks = {name: env["lock"][:8] for name, env in manifest.get("environments", {}).items()}
    return {
        "name": name,
        "fingerprint": manifest["fingerprint"],
        "minutes": manifest["seconds"] / 60,
        "code": (code.get("commit") or "unknown")[:12]
        + (" with changes" * bool(code.get("dirty"))),
        "machine": f"{len(gpus)} {gpus[0]['name']}" if gpus else "CPU",
        "outputs": (manifest.get("outputs") or {}).get("sha256", "")[:16],
        "locks": ", ".join(f"{name} {lock}" for name, lock in locks.items()),
    }
