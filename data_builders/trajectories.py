"""Have a teacher write observation and thinking for known answers (paper section 3.1).

The teacher (Qwen2.5-VL-72B in the paper) sees frames, question and answer; what it writes is
filtered, and a judge (Qwen3) must be led to the answer by the reasoning alone. Any
OpenAI-compatible server will do, vLLM's for a local model.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path

from data_builders.chat import EndpointError
from data_builders.ledger import Ledger
from data_builders.mixing import rank
from data_builders.motion import Family, family
from data_builders.sample import Sample, write_samples
from data_builders.trajectory_specs import TrajectorySpec
from data_builders.trajectory_writer import Clips, Outcome, Writer
from reward_plugins.files import write_file

log = logging.getLogger(__name__)


@dataclass
class Summary:
    """What a run asked for, got and cost; `rejected` is by filter."""

    asked: int = 0
    accepted: int = 0
    surplus: int = 0
    """Accepted beyond the quotas, by requests that were under way, and left out."""
    families: dict[str, int] = field(default_factory=dict)
    short: dict[str, int] = field(default_factory=dict)
    """How far each family is from its quota, where questions ran out."""
    rejected: dict[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    answer_tokens: int = 0
    dollars: float = 0.0

    def line(self) -> str:
        """One line for the log."""
        filters = ", ".join(f"{name} {n / self.asked:.1%}" for name, n in self.rejected.items())
        short = ", ".join(f"{name} {n:,}" for name, n in self.short.items())
        return (
            f"{self.asked:,} asked, {self.accepted / max(1, self.asked):.1%} accepted"
            f"{f' (rejected: {filters})' if filters else ''}, {self.prompt_tokens:,} + "
            f"{self.answer_tokens:,} tokens, ${self.dollars:,.2f}"
            f"{f'; {self.surplus:,} beyond the quotas left out' if self.surplus else ''}"
            f"{f'; questions ran out, short of: {short}' if short else ''}"
        )


def synthesise(
    samples: Iterable[Sample],
    clips: Clips,
    spec: TrajectorySpec,
    out: Path,
    meter: Callable[[int, int], None] = lambda done, total: None,
    replies: Path | None = None,
) -> Summary:
    """Write `out/trajectories.parquet`, `rejected.jsonl` and `summary.json` from `samples`.

    Every reply is kept in `replies` (`out/replies.jsonl`) as it comes: a run that was stopped, or
    one of another recipe on the same file, asks only what no run had. A request that fails is a
    rejection, asked again by the next run. Raises `EndpointError` when the server refuses all
    requests or `failures_in_a_row` get no answer.
    """
    out.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(replies or out / "replies.jsonl")
    order = sorted(samples, key=lambda s: rank(s.id, spec.seed))
    outcomes = _ask_all(order, Writer(clips, spec.teacher, spec.judge, ledger), spec, meter)
    return _write(outcomes, order, spec, out)


class _Tally:
    """What has come back so far, and whether the server still answers."""

    def __init__(self, spec: TrajectorySpec) -> None:
        self._spec, self._failed_in_a_row = spec, 0
        self.outcomes: dict[str, Outcome] = {}
        self.accepted: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        self.outcomes[outcome.sample.id] = outcome
        self.accepted[_family(outcome.sample)] += outcome.rejection is None
        if len(self.outcomes) % 100 == 0:
            log.info(_summarise(self.outcomes.values()).line())
        if outcome.rejection is None or outcome.rejection.stage != "request":
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._spec.failures_in_a_row:
            raise EndpointError(
                f"{self._failed_in_a_row} requests in a row got no answer, the last: "
                f"{outcome.rejection.reason}; replies so far are kept: start the server, and run "
                "again"
            )


def _ask_all(
    order: list[Sample],
    write: Callable[[Sample], Outcome],
    spec: TrajectorySpec,
    meter: Callable[[int, int], None],
) -> dict[str, Outcome]:
    """Ask in `order` until every quota is met; outcomes by sample id."""
    tally = _Tally(spec)
    pending: set[Future[Outcome]] = set()

    def collect() -> None:
        nonlocal pending
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            tally.add(future.result())
        if spec.quotas is None:
            meter(len(tally.outcomes), len(order))
        else:
            meter(tally.accepted.total(), sum(spec.quotas.values()))

    with ThreadPoolExecutor(spec.teacher.concurrency) as pool:
        try:
            for sample in order:
                if _is_wanted(sample, tally.accepted, spec):
                    pending.add(pool.submit(write, sample))
                    if len(pending) >= spec.teacher.concurrency:
                        collect()
            while pending:
                collect()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return tally.outcomes


def _is_wanted(sample: Sample, accepted: Counter[str], spec: TrajectorySpec) -> bool:
    return spec.quotas is None or accepted[_family(sample)] < spec.quotas.get(_family(sample), 0)


def _summarise(outcomes: Iterable[Outcome]) -> Summary:
    summary = Summary()
    for outcome in outcomes:
        summary.asked += 1
        if outcome.rejection is None:
            summary.accepted += 1
        else:
            stage = outcome.rejection.stage
            summary.rejected[stage] = summary.rejected.get(stage, 0) + 1
        for endpoint, reply in outcome.replies:
            prompt, answer = endpoint.dollars_per_million
            summary.prompt_tokens += reply.prompt_tokens
            summary.answer_tokens += reply.answer_tokens
            summary.dollars += (reply.prompt_tokens * prompt + reply.answer_tokens * answer) / 1e6
    return summary


def _write(
    outcomes: dict[str, Outcome], order: list[Sample], spec: TrajectorySpec, out: Path
) -> Summary:
    summary = _summarise(outcomes.values())
    ordered = [outcomes[s.id] for s in order if s.id in outcomes]
    kept, taken = [], Counter[str]()
    for outcome in ordered:  # the first of each family in order, whichever reply came first
        if outcome.rejection is None and _is_wanted(outcome.sample, taken, spec):
            taken[_family(outcome.sample)] += 1
            kept.append(outcome.trajectory())
    summary.surplus = summary.accepted - len(kept)
    summary.families = dict(taken)
    if spec.quotas is not None:
        summary.short = {f: n - taken[f] for f, n in spec.quotas.items() if taken[f] < n}
    write_samples(out / "trajectories.parquet", kept)
    rejected = [
        {"sample_id": o.sample.id, **o.rejection._asdict(), "text": o.text}
        for o in ordered
        if o.rejection is not None
    ]
    write_file(out / "rejected.jsonl", "".join(json.dumps(row) + "\n" for row in rejected))
    write_file(out / "summary.json", json.dumps(asdict(summary), indent=2) + "\n")
    log.info(summary.line())
    return summary


def _family(sample: Sample) -> Family:
    return family(f"{sample.question} {sample.answer_text}")
