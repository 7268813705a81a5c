"""The last stage: the page with the table, the curves and a few clips."""

from __future__ import annotations

from orchestrator.plan.context import Context, module
from orchestrator.plan.stage import Resources, Stage
from orchestrator.plan.values import OUT, Output


def report(context: Context) -> Stage:
    """The page about every stage that the evaluation rests on."""
    recipe, evaluated = context.recipe, context.stages["eval"]
    config = {
        "recipe": recipe.model_dump(mode="json", exclude={"review", "recovery"}),
        "stages": [[stage.name, Output(stage)] for stage in _behind(evaluated)],
        "out": OUT,
    }
    return context.add(
        "report",
        (module("orchestrator", "orchestrator.report", "report.json"),),
        {"report.json": config},
        ("orchestrator/report", "orchestrator/run/history.py"),
        Resources(1, pin=recipe.cluster.pin),
    )


def _behind(stage: Stage) -> list[Stage]:
    """The stage after all that it rests on, each once."""
    earlier = [each for read in stage.inputs for each in _behind(read)]
    return list(dict.fromkeys([*earlier, stage]))
