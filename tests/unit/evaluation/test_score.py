"""From predictions to scores: what counts, what is refused, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from eval_fixtures import make_config, prediction, sample, write_predictions

from orchestrator.evaluation import score as scoring_command
from orchestrator.evaluation.config import EvalConfig, EvaluationError

SAMPLES = [sample(n) for n in range(8)]


def score(config: EvalConfig) -> dict[str, Any]:
    """The scores of the only benchmark."""
    return scoring_command.score(config)["benchmarks"]["held_out"]


def letters(right: int) -> list[str]:
    """A letter for each sample, the first `right` of them right."""
    wrong = {"A": "B", "B": "A"}
    return [s.answer if n < right else wrong[s.answer] for n, s in enumerate(SAMPLES)]


def answers(right: int, name: str = "base") -> list[object]:
    given = letters(right)
    return [
        prediction(s, letter, checkpoint=name) for s, letter in zip(SAMPLES, given, strict=True)
    ]


def test_scores_count_what_the_reward_would(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    rows = answers(6)
    rows[0] = prediction(SAMPLES[0], "A", response="<answer>(a)</answer>")  # right, ill-formed
    rows[1] = prediction(SAMPLES[1], "A", response="A or B")
    rows[2] = prediction(SAMPLES[2], "A", response="**Answer:** A")  # right, without a block
    write_predictions(config, rows)
    overall = score(config)["checkpoints"]["base"]["shown"]["all"]
    assert (overall["n"], overall["accuracy"]) == (8, 5 / 8)
    assert overall["rewarded"] == 3 / 8  # the recipe's gate: only well-formed answers are paid
    assert overall["format"] == pytest.approx(5 / 8) and overall["answered"] == pytest.approx(7 / 8)
    assert overall["interval"][0] < 5 / 8 < overall["interval"][1]
    ungated = config.model_copy(update={"gate_accuracy_on_format": False})
    assert score(ungated)["checkpoints"]["base"]["shown"]["all"]["rewarded"] == 4 / 8


def test_the_file_holds_what_is_returned(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    write_predictions(config, answers(6))
    scores = scoring_command.score(config)
    assert json.loads(config.scores.read_text()) == json.loads(json.dumps(scores))


def test_groups_add_up_and_the_macro_average_is_named(tmp_path: Path) -> None:
    samples = [sample(n, category="rare" if n == 0 else "often") for n in range(8)]
    config = make_config(tmp_path, samples)
    write_predictions(config, [prediction(s, "A") for s in samples])
    shown = score(config)["checkpoints"]["base"]["shown"]
    assert shown["category/rare"]["accuracy"] == 1.0 and shown["category/rare"]["n"] == 1
    assert shown["all"]["accuracy"] == 0.5
    assert shown["all"]["macro_accuracy"] == pytest.approx((1 + 3 / 7) / 2)


def test_engine_errors_are_left_out_and_counted(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    rows = answers(8)
    rows[3] = prediction(SAMPLES[3], None)
    write_predictions(config, rows)
    overall = score(config)["checkpoints"]["base"]["shown"]["all"]
    assert (overall["n"], overall["accuracy"], overall["errors"]) == (7, 1.0, 1)


def test_checkpoints_are_compared_on_what_both_answered(tmp_path: Path) -> None:
    config = make_config(
        tmp_path, SAMPLES, checkpoints={name: tmp_path / name for name in ("base", "sft", "rl")}
    )
    rows = [*answers(2), *answers(5, "sft"), *answers(8, "rl")]
    rows[7] = prediction(SAMPLES[7], None)
    write_predictions(config, rows)
    pairs = {(p["first"], p["second"], p["group"]): p for p in score(config)["pairs"]}
    test = pairs["base", "rl", "all"]
    assert (test["n"], test["only_first"], test["only_second"]) == (7, 0, 5)
    assert test["p"] == pytest.approx(2 / 2**3)  # three clips with a gain
    assert test["p_holm"] == test["p"]
    assert pairs["sft", "rl", "all"]["n"] == 8
    of_category = [p for (a, b, g), p in pairs.items() if (a, b) == ("base", "rl") and "cat" in g]
    assert len(of_category) == 2 and all(p["p_holm"] >= p["p"] for p in of_category)


def test_swapped_clips_are_scored_apart(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES, swap_control=True)
    swapped = [row._replace(condition="swapped") for row in answers(4)]
    write_predictions(config, [*answers(8), *swapped])
    base = score(config)["checkpoints"]["base"]
    assert base["shown"]["all"]["accuracy"] == 1.0 and base["swapped"]["all"]["accuracy"] == 0.5


def test_confused_motions_are_tabulated(tmp_path: Path) -> None:
    options = ("pan left", "pan right", "static")
    samples = [sample(n, task="multiple_choice", options=options, answer="A") for n in range(4)]
    config = make_config(tmp_path, samples)
    given = ["A", "B", "B", "Z"]
    write_predictions(config, [prediction(s, a) for s, a in zip(samples, given, strict=True)])
    assert score(config)["checkpoints"]["base"]["confusion"] == {
        "pan left": {"pan left": 1, "pan right": 2, "(no answer)": 1}
    }


def test_a_model_that_emits_blanks_scores_nothing_and_is_called_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(tmp_path, SAMPLES)
    write_predictions(config, [prediction(s, "A", response="") for s in SAMPLES])
    overall = score(config)["checkpoints"]["base"]["shown"]["all"]
    assert (overall["accuracy"], overall["answered"]) == (0.0, 0.0)
    assert "none of its 8 responses names an option" in caplog.text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows[:-1], "1 without an answer, such as 's7'"),
        (lambda rows: [*rows, rows[0]], "1 answered twice, such as 's0'"),
        (lambda rows: [*rows[:-1], rows[-1]._replace(sample_id="x")], "1 of another benchmark"),
        (
            lambda rows: [*rows[:-1], rows[-1]._replace(response=None)],
            "1 with neither response nor error, such as 's7'",
        ),
    ],
)
def test_incomplete_predictions_are_refused(tmp_path: Path, spoil: object, message: str) -> None:
    config = make_config(tmp_path, SAMPLES)
    write_predictions(config, spoil(answers(8)))  # type: ignore[operator]
    with pytest.raises(EvaluationError, match=message):
        score(config)


def test_foreign_and_missing_files_are_named(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    with pytest.raises(FileNotFoundError, match="run the evaluation first"):
        score(config)
    pq.write_table(pa.table({"index": [1]}), config.predictions)
    with pytest.raises(EvaluationError, match="not predictions of this project"):
        score(config)


def test_answers_to_a_benchmark_that_was_not_asked_for_are_refused(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    foreign = prediction(SAMPLES[0], "A", benchmark="refineshot")
    write_predictions(config, [*answers(8), foreign])
    with pytest.raises(EvaluationError, match="answers to refineshot, but the recipe evaluates h"):
        score(config)


def test_each_benchmark_is_scored_by_itself(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    both = {"held_out": config.benchmarks["held_out"], "synthetic": config.benchmarks["held_out"]}
    config = config.model_copy(update={"benchmarks": both})
    index = config.index_path("held_out").read_text()
    config.index_path("synthetic").write_text(index)
    wrong = [row._replace(benchmark="synthetic") for row in answers(0)]
    write_predictions(config, [*answers(8), *wrong])
    found = scoring_command.score(config)["benchmarks"]
    accuracy = {b: c["checkpoints"]["base"]["shown"]["all"]["accuracy"] for b, c in found.items()}
    assert accuracy == {"held_out": 1.0, "synthetic": 0.0}


def test_a_pair_is_right_where_all_its_questions_are(tmp_path: Path) -> None:
    samples = [sample(n, provenance={"pair": f"p{n // 2}"}) for n in range(8)]
    config = make_config(tmp_path, samples)
    rows = [prediction(s, s.answer if n != 5 else "A") for n, s in enumerate(samples)]
    rows[0] = prediction(samples[0], None)  # an engine error: its pair can't be told
    write_predictions(config, rows)
    overall = score(config)["checkpoints"]["base"]["shown"]["all"]
    assert overall["pair_accuracy"] == pytest.approx(2 / 3)


def test_probabilities_give_camerabenchs_own_measure(tmp_path: Path) -> None:
    config = make_config(tmp_path, SAMPLES)
    sure = {"A": [0.9, 0.05], "B": [0.1, 0.9]}
    write_predictions(
        config, [prediction(s, s.answer, probabilities=sure[s.answer]) for s in SAMPLES]
    )
    shown = score(config)["checkpoints"]["base"]["shown"]
    assert shown["all"]["ranking"] == {"n": 8, "ap": 1.0, "auc": 1.0, "prevalence": 0.5}
    assert shown["category/pan_left"]["ranking"]["ap"] is None  # only Yes
    assert shown["all"]["macro_ap"] is None


def test_questions_have_a_price_where_the_server_has(tmp_path: Path) -> None:
    endpoint = {"model": "m", "temperature": 0.0, "dollars_per_million": (2.0, 10.0)}
    server = {"endpoint": endpoint, "media": "video"}
    config = make_config(tmp_path, SAMPLES, checkpoints={"gpt": server, "base": tmp_path / "base"})
    rows = [row._replace(prompt_tokens=1000, tokens=100) for row in answers(8)]
    write_predictions(config, [*rows, *(row._replace(checkpoint="gpt") for row in rows)])
    config.served.write_text('{"gpt": {"listed": {}, "probe": null}}')
    found = score(config)["checkpoints"]
    assert found["gpt"]["shown"]["all"]["dollars"] == pytest.approx(0.003)
    assert found["base"]["shown"]["all"]["dollars"] is None
