"""A merged checkpoint holds the trained weights to the last bit, and all a loader needs."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Replicate, Shard, init_device_mesh

from reward_plugins.merge import check, verl
from reward_plugins.merge.check import MergeError
from reward_plugins.merge.verl import MergeConfig, actors, merge, merge_all

NORM = "model.language_model.norm.weight"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    store = tmp_path_factory.mktemp("store") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,), mesh_dim_names=("fsdp",))
    dist.destroy_process_group()


@pytest.fixture
def weights(model: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    noise = {k: v + torch.randn_like(v) * 1e-3 for k, v in model.state_dict().items()}
    noise["lm_head.weight"] = noise["model.language_model.embed_tokens.weight"]
    return noise


@pytest.fixture
def actor(checkpoint: Path, weights: dict[str, torch.Tensor], mesh: Any, tmp_path: Path) -> Path:
    """What two FSDP2 ranks leave behind: halves of each matrix, and the whole of each vector."""
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("12")
    (tmp_path / "global_step_3").mkdir()  # an older one
    actor = tmp_path / "global_step_12" / "actor"
    shutil.copytree(checkpoint, actor / "huggingface")
    (actor / "huggingface" / "model.safetensors").unlink()
    (actor / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": 2}))
    for rank in range(2):
        shard = {name: _part(tensor, rank, mesh) for name, tensor in weights.items()}
        torch.save(shard, actor / f"model_world_size_2_rank_{rank}.pt")
    return actor


def _part(tensor: torch.Tensor, rank: int, mesh: Any) -> torch.Tensor:
    if tensor.dim() == 1:
        return DTensor.from_local(tensor.clone(), mesh, [Replicate()])
    part = tensor.chunk(2)[rank].clone()
    return DTensor.from_local(part, mesh, [Shard(0)])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merged_weights_are_the_trained_ones(
    actor: Path, weights: dict[str, torch.Tensor], tmp_path: Path, dtype: Any
) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    target = tmp_path / "merged"
    (target / "stale").mkdir(parents=True)
    checked = merge(actor, target, dtype)
    loaded = AutoModelForImageTextToText.from_pretrained(target, dtype="auto")
    found = loaded.state_dict()
    assert found.keys() == weights.keys()
    expected = getattr(torch, dtype)
    assert all(torch.equal(found[name], weights[name].to(expected)) for name in weights)
    assert json.loads((target / "config.json").read_text())["dtype"] == dtype
    assert AutoProcessor.from_pretrained(target).chat_template
    assert len(loaded.generation_config.eos_token_id) == 2
    assert not (target / "stale").exists()
    assert (checked["trained_in"], checked["written_in"]) == (["float32"], dtype)
    assert checked["weights_differing"] == 0
    assert 10 < checked["prompt_tokens"] < 100
    if dtype == "float32":
        assert checked["logprob_largest_difference"] == checked["kl_nats_per_token"] == 0
    else:
        assert 0 < checked["logprob_largest_difference"] < 0.5


def test_a_checkpoint_that_came_out_other_is_refused(
    actor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = verl.save

    def save_other(directory: Path, state: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
        save(directory, {**state, NORM: state[NORM] + 1e-3}, dtype)

    monkeypatch.setattr(verl, "save", save_other)
    with pytest.raises(MergeError, match=r"written other than trained: .*norm"):
        merge(actor, tmp_path / "merged", "float32")
    assert not (tmp_path / "merged").exists()


def test_logits_further_away_than_a_cast_explains_are_refused(
    actor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = check.logits
    monkeypatch.setattr(
        check,
        "logits",
        lambda *given: (logits(*given) + torch.randn_like(logits(*given))).log_softmax(-1),
    )
    with pytest.raises(MergeError, match="nats a token away"):
        merge(actor, tmp_path / "merged", "bfloat16")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("generation_config.json", "lacks generation_config"),
        ("chat_template.jinja", "no chat temp"),
    ],
)
def test_what_a_loader_needs_must_be_there(
    actor: Path, tmp_path: Path, name: str, said: str
) -> None:
    (actor / "huggingface" / name).unlink()
    with pytest.raises(MergeError, match=said):
        merge(actor, tmp_path / "merged", "float32")


def test_a_shard_that_would_run_code_is_refused(actor: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"lm_head.weight": Evil()}, actor / "model_world_size_2_rank_1.pt")
    with pytest.raises(MergeError, match=r"rank_1\.pt holds more than weights"):
        merge(actor, tmp_path / "merged", "float32")
    assert not (tmp_path / "ran").exists()


def test_missing_shards_are_named(actor: Path, tmp_path: Path) -> None:
    (actor / "model_world_size_2_rank_1.pt").unlink()
    with pytest.raises(MergeError, match="rank_1"):
        merge(actor, tmp_path / "merged", "float32")
    assert not (tmp_path / "merged").exists()


def test_foreign_weights_are_refused(actor: Path, tmp_path: Path) -> None:
    for rank in range(2):
        path = actor / f"model_world_size_2_rank_{rank}.pt"
        shard = torch.load(path)
        shard["lora_A.weight"] = shard.pop("lm_head.weight")
        torch.save(shard, path)
    with pytest.raises(MergeError, match="lora_A"):
        merge(actor, tmp_path / "merged", "float32")


def test_a_directory_without_a_finished_checkpoint_is_refused(actor: Path, tmp_path: Path) -> None:
    for shard in actor.glob("model_*.pt"):
        shard.unlink()
    with pytest.raises(MergeError, match=r"no model_world_size_\*_rank_0\.pt"):
        merge(actor, tmp_path / "merged", "float32")
    (tmp_path / "latest_checkpointed_iteration.txt").unlink()
    with pytest.raises(MergeError, match="finished no checkpoint"):
        actors(tmp_path)


def test_every_checkpoint_that_was_kept_is_merged_and_the_newest_is_the_last(
    actor: Path, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    from transformers import AutoModelForImageTextToText

    earlier, unfinished = (tmp_path / f"global_step_{step}" / "actor" for step in (6, 18))
    shutil.copytree(actor, earlier)
    for path in earlier.glob("model_*.pt"):
        shard = torch.load(path)
        torch.save({**shard, NORM: shard[NORM] + 1.0}, path)
    shutil.copytree(actor, unfinished)  # the tracker names step 12 as the last whole one
    out = tmp_path / "out"
    for _ in range(2):  # a second time in place of the first
        count = merge_all(MergeConfig(source=tmp_path, target=out), actors(tmp_path))
    assert sorted(p.name for p in out.iterdir()) == ["check.json", "last", "step-12", "step-6"]
    assert (out / "last").readlink() == Path("step-12")
    load = AutoModelForImageTextToText.from_pretrained
    norms = [load(out / name, dtype="auto").state_dict()[NORM] for name in ("step-6", "last")]
    assert torch.equal(norms[1], weights[NORM])
    assert torch.equal(norms[0], weights[NORM] + 1.0)
    checks = json.loads((out / "check.json").read_text())
    assert list(checks) == ["step-6", "step-12"]
    assert checks["step-12"]["parameters"] == count
    assert [check["weights_differing"] for check in checks.values()] == [0, 0]
