"""A model behind an OpenAI-compatible server, asked like one of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_builders.chat import Client, EndpointError, check_endpoint
from data_builders.trajectory_specs import EndpointSpec
from orchestrator.ask.checkpoints import Checkpoint
from orchestrator.ask.errors import AskError, PolicyError
from orchestrator.ask.policy import Ask, Policy
from orchestrator.ask.recipe import by_name
from orchestrator.ask.released import DEFAULT, here
from orchestrator.ask.worker import outcomes
from orchestrator.evaluation.config import Server
from orchestrator.evaluation.engines import open_engine
from orchestrator.recipe import load_recipe


def of_server(address: str, recipe: str | None) -> Checkpoint:
    """The model at `http://host:port/v1`, or `...#name` where the server has several.

    Raises `AskError`. Keys and limits are those of `eval.server` in the recipe.
    """
    base_url, _, name = address.partition("#")
    settings = load_recipe(recipe or DEFAULT).eval

    def server(model: str) -> Server:
        asked = settings.server.asks(model, base_url, settings.max_new_tokens)
        return Server.model_validate(asked)

    own = server(name or _only_model(server("<name>").endpoint))
    origin = f"of recipe {recipe}" if recipe else f"of recipe {DEFAULT} (recipe=<name>)"
    return Checkpoint(str(own), own, here(by_name(recipe or DEFAULT)), origin)


class ServedPolicy:
    """As `Policy`, without a process of its own."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def __enter__(self) -> ServedPolicy:
        assert isinstance(self.checkpoint.path, Server)
        tokens = self.checkpoint.recipe.eval.max_new_tokens
        try:
            self._engine = open_engine("openai", self.checkpoint.path, tokens)
        except EndpointError as error:
            raise PolicyError(f"{self.checkpoint.name}: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, batch: Sequence[Ask]) -> list[dict[str, Any]]:
        """`{"text", "tokens"}` or `{"error"}` for each; `PolicyError` when the server is gone."""
        system = self.checkpoint.recipe.prompt.system
        try:
            return outcomes(self._engine, [[system, a.text, str(a.shown.entry)] for a in batch])
        except EndpointError as error:
            raise PolicyError(f"{self.checkpoint.name}: {error}") from error

    def close(self) -> None:
        """Nothing of it is here."""


def open_policy(checkpoint: Checkpoint, engine: str) -> Policy | ServedPolicy:
    """What answers for a checkpoint; of a server's, the engine is its own matter."""
    if isinstance(checkpoint.path, Server):
        return ServedPolicy(checkpoint)
    return Policy(checkpoint, engine)


def _only_model(endpoint: EndpointSpec) -> str:
    check_endpoint(endpoint, "model")
    names = [str(model["id"]) for model in Client(endpoint).models()]
    if len(names) != 1:
        raise AskError(
            f"model={endpoint.base_url}: lists {len(names)} models "
            f"({', '.join(names[:5]) or 'an address ends with the version, such as /v1'}); name "
            f"one: model={endpoint.base_url}#<name>"
        )
    return names[0]
