"""What a rehearsal remembers of stages that it reuses."""

from pathlib import Path

from orchestrator.plan.make import make_plan
from orchestrator.rehearse.changes import load_spec, rehearsed
from orchestrator.rehearse.verb import _peaks


def test_the_memory_of_a_stage_is_kept_for_rehearsals_that_reuse_it(tmp_path: Path) -> None:
    """Of 7B and 3B small models are the same, and so are their rehearsals' stages."""
    plans = [
        make_plan(rehearsed(name, [], load_spec("cpu"))[1], tmp_path)
        for name in ("camreasoner_7b", "camreasoner_3b", "shotvl_3b")
    ]
    assert _peaks(plans[0], {"sft": 3, "rl": 8}) == {"sft": 3, "rl": 8}
    assert _peaks(plans[1], {"report": 1}) == {"sft": 3, "rl": 8, "report": 1}
    assert _peaks(plans[2], {}) == {}
    assert _peaks(plans[0], {"rl": 9}) == {"sft": 3, "rl": 9}
