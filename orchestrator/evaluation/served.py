"""What a server says of its model: another one behind the same address inherits no answers.

A server keeps its weights to itself. It lists its models (vLLM and SGLang with the directory that
they were read from), and different weights word the answer to an open question differently.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from data_builders.chat import ChatError, Client, check_endpoint, read
from data_builders.specs import Spec
from orchestrator.evaluation.config import EvalConfig, EvaluationError, Server
from reward_plugins.files import write_file

log = logging.getLogger(__name__)

PROBE = "Describe, in two sentences, what a camera sees that pans to the left over a valley."
PROBE_TOKENS = 64
LASTING = ("id", "root", "parent", "owned_by", "max_model_len")
"""What a list of models says of one. In vLLM 0.24 and SGLang `created` is the time of asking."""


class Told(Spec):
    """What a served model is known by, besides its name and address."""

    listed: dict[str, Any]
    """Of `LASTING`, what the server lists; empty where it lists no models."""
    probe: str | None
    """Its greedy answer to `PROBE`; None where that changes from one request to the next."""


def write_told(config: EvalConfig) -> None:
    """Ask every server what it serves, and write it beside the answers to come.

    `EndpointError` where none answers, `EvaluationError` where one answers no question.
    """
    told = {
        name: _ask(name, checkpoint).model_dump()
        for name, checkpoint in config.checkpoints.items()
        if isinstance(checkpoint, Server)
    }
    if told:
        write_file(config.served, json.dumps(told, indent=1))


def read_told(config: EvalConfig) -> Mapping[str, Told]:
    """What `write_told` wrote, by checkpoint; `FileNotFoundError` before it did."""
    if not config.served.is_file():
        raise FileNotFoundError(f"no {config.served}: prepare the evaluation first (make eval)")
    told = json.loads(config.served.read_text())
    return {name: Told.model_validate(each) for name, each in told.items()}


def served_identity(server: Server, told: Told) -> str:
    """Hash of what a served model is known by, and of how it is asked."""
    spec = server.endpoint
    asked = [server.media, server.top_logprobs, spec.temperature, spec.extra_body]
    parts = [spec.base_url, spec.model, *asked, told.model_dump()]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def _ask(name: str, server: Server) -> Told:
    check_endpoint(server.endpoint, f"eval.models.{name}")
    client = Client(server.endpoint.model_copy(update={"max_tokens": PROBE_TOKENS}))
    listed = {key: value for key, value in client.listed().items() if key in LASTING and value}
    try:
        first, second = (_answer(client) for _ in range(2))
    except ChatError as error:
        raise EvaluationError(f"eval.models.{name} answers no question: {error}") from error
    if first != second:
        log.warning(
            "%s (%s) words the same answer differently each time: another model under its name "
            "and address would go unnoticed", name, server,
        )  # fmt: skip
    return Told(listed=listed, probe=first if first == second else None)


def _answer(client: Client) -> str:
    choice, _ = client.complete([{"role": "user", "content": PROBE}])
    return "".join(read(choice))
