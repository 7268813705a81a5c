"""Ask any OpenAI-compatible server, many requests at a time, each answer kept for good."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from data_builders.ledger import Ledger, Reply
from data_builders.trajectory_specs import EndpointSpec
from reward_plugins.errors import CamReasonerError

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat.chat_completion import Choice

Messages = list[dict[str, Any]]
"""Chat messages as the OpenAI API takes them."""


class Written(NamedTuple):
    """What a model wrote."""

    text: str
    thinking: str
    """What its server took out of the text: `reasoning_content`, or `reasoning`."""


def read(choice: Choice) -> Written:
    """The text of a choice, which may come in parts; `ChatError` where it is not the model's own.

    A filtered, refused or broken-off answer is none: to score it would be to score the server.
    """
    message, ended = choice.message, choice.finish_reason
    thinking = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    content: Any = message.content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    refusal = getattr(message, "refusal", None)
    whole = isinstance(content, str) or (content is None and ended == "length")
    if ended not in FINISHED or refusal or not whole:
        why = f": {refusal}" if refusal else ""
        raise ChatError(f"the server gave no answer of the model (it ended with {ended}{why})")
    return Written(storable(content or ""), storable(str(thinking or "")))


class Usage(NamedTuple):
    """Tokens that a server counted; 0 where it tells none."""

    prompt_tokens: int
    completion_tokens: int

    @classmethod
    def of(cls, told: object) -> Usage:
        """Whatever stands there in a server's reply."""
        counts = (getattr(told, name, 0) for name in cls._fields)
        return cls(*(n if isinstance(n, int) and 0 <= n < 2**31 else 0 for n in counts))


def storable(text: str) -> str:
    """`text` with what no file can hold, half a surrogate pair, replaced."""
    return text.encode(errors="replace").decode()


class ChatError(CamReasonerError, OSError):
    """One request got no answer, after all its attempts; others may."""


class EndpointError(CamReasonerError, ConnectionError):
    """No request can get an answer: the address, the key or the model is wrong."""


def check_endpoint(spec: EndpointSpec, key: str) -> None:
    """Raise `EndpointError`, naming the recipe's `key`, unless a server answers there.

    A server that answers, but doesn't list models, passes: not all do.
    """
    import openai

    token = os.environ.get(spec.api_key_variable, "none")
    try:
        _models(openai.OpenAI(base_url=spec.base_url, api_key=token, timeout=10, max_retries=1))
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise EndpointError(
            f"{key}: {spec.base_url} refuses the key in {spec.api_key_variable}: "
            f"{_told(error, spec)}"
        ) from error
    except openai.APIStatusError:
        return
    except openai.OpenAIError as error:
        raise EndpointError(
            f"{key}.base_url: no server answers at {spec.base_url} ({_told(error, spec)}); "
            f"start one (vllm serve {spec.model}), or name another OpenAI-compatible one and put "
            f"its key in {spec.api_key_variable}"
        ) from error


FINISHED = ("stop", "length")


def _told(error: Exception, spec: EndpointSpec) -> str:
    """What the error says, without the key: some servers repeat what they were sent."""
    token = os.environ.get(spec.api_key_variable)
    return str(error).replace(token, "[redacted]") if token else str(error)


def answers(spec: EndpointSpec) -> bool:
    """Whether anything speaks HTTP at the endpoint's address."""
    import openai

    try:
        _models(openai.OpenAI(base_url=spec.base_url, api_key="none", timeout=10, max_retries=0))
    except openai.APIStatusError:
        return True
    except openai.OpenAIError:
        return False
    return True


def _models(client: OpenAI) -> list[dict[str, Any]]:
    """What a server lists; nothing where its answer is no list, such as a page for people."""
    try:
        models = client.models.list().data or []
    except (AttributeError, ValueError):  # openai parses whatever comes
        return []
    return [model.model_dump() for model in models if hasattr(model, "model_dump")]


class Client:
    """A client of one endpoint, for use by many threads."""

    def __init__(self, spec: EndpointSpec) -> None:
        self.spec = spec
        self._lock, self._next = threading.Lock(), 0.0

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI  # here: planning reads EndpointSpec and must stay light

        return OpenAI(
            base_url=self.spec.base_url,
            api_key=os.environ.get(self.spec.api_key_variable, "none"),
            timeout=self.spec.seconds,
            max_retries=self.spec.attempts - 1,
        )

    def models(self) -> list[dict[str, Any]]:
        """What the server says of each model that it lists; nothing where it lists none."""
        import openai

        try:
            return _models(self._client)
        except openai.APIStatusError:
            return []

    def listed(self) -> dict[str, Any]:
        """What it says of this one."""
        return next((own for own in self.models() if own["id"] == self.spec.model), {})

    def complete(self, messages: Messages, **extra: Any) -> tuple[Choice, Usage]:
        """The server's choice for `messages`, and the tokens it counted.

        `extra` goes into the request's body, below the endpoint's own. Raises `ChatError` if this
        request fails for good, `EndpointError` if any would.
        """
        import openai

        spec = self.spec
        self._wait_for_turn()
        try:
            answer = self._client.chat.completions.create(
                model=spec.model,
                messages=messages,  # type: ignore[arg-type]  # plain dicts, as the API takes them
                temperature=spec.temperature,
                max_tokens=spec.max_tokens,
                extra_body={**extra, **spec.extra_body},
            )
            choice = answer.choices[0]
            choice.message.content  # noqa: B018  # a body that is no completion fails here
        except (
            openai.AuthenticationError,
            openai.PermissionDeniedError,
            openai.NotFoundError,
        ) as e:
            raise EndpointError(
                f"{spec.base_url} refuses requests for model {spec.model!r}: {_told(e, spec)}; "
                f"check base_url, model, and the key in {spec.api_key_variable}"
            ) from e
        except (openai.OpenAIError, ValueError, TypeError, LookupError, AttributeError) as e:
            # Besides the client's own errors: whatever reading a nonsensical body raises.
            raise ChatError(
                f"{spec.model} at {spec.base_url} gave no answer: {type(e).__name__}: "
                f"{_told(e, spec)}"
            ) from e
        return choice, Usage.of(answer.usage)

    def _wait_for_turn(self) -> None:
        if self.spec.requests_per_minute is None:
            return
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + 60 / self.spec.requests_per_minute
        time.sleep(max(0.0, turn - time.monotonic()))


class Chat(Client):
    """A client that asks nothing twice of a ledger's file."""

    def __init__(self, spec: EndpointSpec, ledger: Ledger) -> None:
        super().__init__(spec)
        self._ledger = ledger

    def ask(self, identity: str, messages: Callable[[], Messages]) -> Reply:
        """The reply to `messages()`, from the ledger if it is there.

        `identity` stands for the messages' content, so that a known reply costs no encoding of
        frames. Raises as `complete` does.
        """
        key = self._key(identity)
        if (known := self._ledger.get(key)) is not None:
            return known
        choice, used = self.complete(messages())
        reply = Reply(
            text=read(choice).text,
            prompt_tokens=used.prompt_tokens,
            answer_tokens=used.completion_tokens,
        )
        self._ledger.put(key, reply)
        return reply

    def _key(self, identity: str) -> str:
        spec = self.spec
        asked = [spec.model, spec.temperature, spec.max_tokens, spec.extra_body, identity]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
