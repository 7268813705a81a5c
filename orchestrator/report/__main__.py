"""The report stage: `python -m orchestrator.report <config.json>`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from orchestrator.report.pages import write_pages
from orchestrator.report.sources import Run

LIVE = "--live"
"""The run goes on, and the page with it."""
log = logging.getLogger(__name__)


class ReportConfig(BaseModel):
    """What the stage reads and where it writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: dict[str, Any]
    stages: dict[str, Path]
    """Directories of the finished stages, in the order they ran."""

    @field_validator("stages", mode="before")
    @classmethod
    def _in_order(cls, pairs: Any) -> Any:
        """Pairs keep the order, which sorted JSON objects lose."""
        return dict(pairs)

    out: Path


def main(arguments: list[str]) -> None:
    """Write the report that the config named on the command line describes."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = ReportConfig.model_validate_json(Path(arguments[0]).read_text())
    run = Run(config.recipe, config.stages)
    log.info("report: %s", write_pages(run, config.out, live=LIVE in arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
