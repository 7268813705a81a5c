"""How many trajectories people accept, and how far they agree (paper section 3.1: 93 % of 500)."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.evaluation.statistics import Interval, wilson
from orchestrator.review.decisions import Decision


@dataclass(frozen=True)
class Share:
    """Accepted trajectories among those decided."""

    decided: int
    accepted: int
    interval: Interval
    """95 % Wilson interval."""


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on the trajectories that both decided."""

    reviewers: tuple[str, str]
    n: int
    agreed: float
    kappa: float | None
    """Cohen's; None where both gave one and the same verdict throughout."""


@dataclass(frozen=True)
class Summary:
    """What has been decided so far."""

    wanted: int
    overall: Share
    """By trajectory: accepted if more than half of its reviewers accept it."""
    reviewers: dict[str, Share]
    agreements: tuple[Agreement, ...]
    reasons: dict[str, int]
    """How often each reason was given."""


def summarise(decisions: Mapping[tuple[str, str], Decision], wanted: int) -> Summary:
    """Acceptance and agreement of `decisions`, by (reviewer, sample id), on `wanted` samples."""
    by_sample: dict[str, list[bool]] = defaultdict(list)
    by_reviewer: dict[str, dict[str, bool]] = defaultdict(dict)
    for (reviewer, sample_id), decision in sorted(decisions.items()):
        accepted = decision.verdict == "accept"
        by_sample[sample_id].append(accepted)
        by_reviewer[reviewer][sample_id] = accepted
    pairs = itertools.combinations(by_reviewer, 2)
    found = [agreement((a, b), by_reviewer[a], by_reviewer[b]) for a, b in pairs]
    reasons = Counter(d.reason for d in decisions.values() if d.reason)
    return Summary(
        wanted=wanted,
        overall=_share([2 * sum(verdicts) > len(verdicts) for verdicts in by_sample.values()]),
        reviewers={name: _share([*own.values()]) for name, own in by_reviewer.items()},
        agreements=tuple(a for a in found if a.n),
        reasons=dict(reasons.most_common()),
    )


def agreement(
    names: tuple[str, str], first: Mapping[str, bool], second: Mapping[str, bool]
) -> Agreement:
    """Cohen's kappa (1960) of two reviewers' verdicts by sample id."""
    common = sorted(first.keys() & second.keys())
    n = len(common)
    if n == 0:
        return Agreement(names, 0, 0.0, None)
    agreed = sum(first[s] == second[s] for s in common) / n
    yes = [sum(own[s] for s in common) / n for own in (first, second)]
    by_chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    kappa = None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)
    return Agreement(names, n, agreed, kappa)


def lines(summary: Summary) -> list[str]:
    """The summary in words, for a terminal."""
    said = [f"{_in_words(summary.overall)}, of {summary.wanted} drawn"]
    if len(summary.reviewers) > 1:
        said += [f"  {name}: {_in_words(own)}" for name, own in summary.reviewers.items()]
    for one in summary.agreements:
        kappa = "undefined (one verdict only)" if one.kappa is None else f"{one.kappa:.2f}"
        pair = " and ".join(one.reviewers)
        said.append(f"  {pair} agree on {one.agreed:.1%} of {one.n}, Cohen's kappa {kappa}")
    return said + [f"  rejected {n} times: {reason}" for reason, n in summary.reasons.items()]


def _share(verdicts: Sequence[bool]) -> Share:
    return Share(len(verdicts), sum(verdicts), wilson(sum(verdicts), len(verdicts)))


def _in_words(share: Share) -> str:
    if not share.decided:
        return "nothing reviewed yet"
    low, high = share.interval
    rate = share.accepted / share.decided
    return f"{share.accepted} of {share.decided} accepted, {rate:.1%} [{low:.1%}, {high:.1%}]"
