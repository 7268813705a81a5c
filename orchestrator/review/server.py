"""The page's server: this machine only, one HTML file, a few addresses that speak JSON."""

from __future__ import annotations

import dataclasses
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.ask.page import PageHandler, PageServer
from orchestrator.review.decisions import REASONS, Decision, Decisions, trace_digest
from orchestrator.review.queue import Queue
from orchestrator.review.summary import Summary, summarise
from reward_plugins.files import write_file

MOST_BYTES = 100_000
"""Of a request's body."""


class ReviewServer(PageServer):
    """Serves `queue` on 127.0.0.1 and keeps what is decided in `folder`."""

    def __init__(self, queue: Queue, folder: Path, port: int) -> None:
        self.queue, self._folder = queue, folder
        self.decisions = Decisions(folder / "decisions.jsonl")
        super().__init__(_Handler, port, "review.port")

    def summary(self) -> Summary:
        """What has been decided so far."""
        decided = self.decisions.latest(self.queue.samples)
        return summarise(decided, len(self.queue.samples))

    def decide(self, decision: Decision) -> None:
        """Keep a decision, and the summary beside it."""
        shown = {(s.id, trace_digest(s)) for s in self.queue.samples}
        if (decision.sample_id, decision.trace) not in shown:
            raise ValueError(f"{decision.sample_id} is not under review as shown; reload the page")
        self.decisions.add(decision)
        summary = json.dumps(dataclasses.asdict(self.summary()), indent=2) + "\n"
        write_file(self._folder / "summary.json", summary)

    def state(self, reviewer: str) -> dict[str, Any]:
        """What the page needs to go on where `reviewer` stopped."""
        decided = self.decisions.latest(self.queue.samples)
        mine = {sample: d for (who, sample), d in decided.items() if who == reviewer}
        return {
            "reasons": REASONS,
            "ids": [sample.id for sample in self.queue.samples],
            "mine": {sample: d.model_dump(mode="json") for sample, d in mine.items()},
            "summary": dataclasses.asdict(summarise(decided, len(self.queue.samples))),
        }


class _Handler(PageHandler):
    page = Path(__file__).with_name("page.html")
    server: ReviewServer

    def get(self, path: str) -> None:
        path, _, rest = path.partition("/")
        if path == "items" and rest.isdecimal() and int(rest) < len(self.server.queue.samples):
            self.send_json(self.server.queue.item(int(rest)))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        """`/state` with {"reviewer"}, `/decisions` with a decision."""
        try:
            body = json.loads(self.rfile.read(self.length(MOST_BYTES)))
            if self.path == "/decisions":
                self.server.decide(Decision.model_validate(body))
            elif self.path != "/state":
                return self.send_error(HTTPStatus.NOT_FOUND)
            self.send_json(self.server.state(str(body["reviewer"])))
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            self.send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except OSError as error:
            self.send_json({"error": f"not kept: {error}"}, HTTPStatus.INSUFFICIENT_STORAGE)
