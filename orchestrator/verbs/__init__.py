"""What a user can ask for: each verb reads its words and hands on to the package that does it."""

from orchestrator.verbs import clips, recipes, rehearsals, runs, sweeps

VERBS: dict[str, recipes.Verb] = {
    **recipes.VERBS,
    "ablate": sweeps.ablate,
    "rehearse": rehearsals.rehearse,
    "show": runs.show,
    "diff": runs.diff,
    "repro": runs.repro,
    "publish": runs.publish,
    "clean-runs": runs.clean_runs,
    "predict": clips.predict,
    "serve": clips.serve,
}
GO_ON = (*recipes.VERBS, "ablate", "rehearse")
"""Verbs that go on from where they were interrupted, with the same command."""
