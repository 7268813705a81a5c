from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from data_builders.mixing import mix
from data_builders.sample import Sample
from data_builders.source_specs import SourceName
from tests.givens import question


def rows(source: SourceName, count: int) -> list[Sample]:
    return [question(id=f"{source}/{n}", dataset=source) for n in range(count)]


def test_without_weights_everything_stays_in_order() -> None:
    mixed = mix({"synthetic": rows("synthetic", 2), "camerabench": rows("camerabench", 3)}, None, 0)
    assert [s.id for s in mixed] == [
        "synthetic/0", "synthetic/1", "camerabench/0", "camerabench/1", "camerabench/2",
    ]  # fmt: skip


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.1, 10), st.integers(0, 3))
def test_shares_are_the_weights_and_one_source_gives_all(
    first: int, second: int, weight: float, seed: int
) -> None:
    sources: dict[SourceName, list[Sample]] = {
        "synthetic": rows("synthetic", first),
        "camerabench": rows("camerabench", second),
    }
    mixed = mix(sources, {"synthetic": weight, "camerabench": 1.0}, seed)
    found = Counter(s.dataset for s in mixed)
    assert len({s.id for s in mixed}) == len(mixed)
    assert found["synthetic"] == first or found["camerabench"] == second
    assert abs(found["synthetic"] - weight * found["camerabench"]) <= 0.5 + weight * 0.5


def test_a_smaller_share_keeps_part_of_what_a_larger_one_has() -> None:
    sources: dict[SourceName, list[Sample]] = {
        "synthetic": rows("synthetic", 50),
        "camerabench": rows("camerabench", 50),
    }
    large = mix(sources, {"synthetic": 1.0, "camerabench": 2.0}, 1)
    small = mix(sources, {"synthetic": 1.0, "camerabench": 4.0}, 1)
    assert {s.id for s in small} < {s.id for s in large}
    assert large != mix(sources, {"synthetic": 1.0, "camerabench": 2.0}, 2)


def test_a_source_without_samples_of_a_use_takes_no_share() -> None:
    sources: dict[SourceName, list[Sample]] = {"synthetic": rows("synthetic", 5), "camerabench": []}
    assert len(mix(sources, {"synthetic": 0.1, "camerabench": 0.9}, 0)) == 5
