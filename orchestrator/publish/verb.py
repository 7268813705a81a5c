"""`publish`: show everything first, send it only when it is confirmed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.errors import PublishError
from orchestrator.publish.card import CARD
from orchestrator.publish.package import pack, summary
from orchestrator.publish.upload import upload
from orchestrator.run import policies
from orchestrator.trace.record import Record
from reward_plugins.files import write_file

OPTIONS = ("what", "repo", "private", "confirm")
REPO = re.compile(r"[\w.-]+/[\w.-]+")


def publish(record: Record, options: Mapping[str, str], console: Console) -> None:
    """Print what would be sent and where the card lies; with `confirm=true`, send it.

    Raises `PublishError`.
    """
    what = options.get("what", policies.names(record.recipe)[-1])
    repo = options.get("repo")
    private, confirmed = _flag(options, "private", "true"), _flag(options, "confirm", "false")
    if repo is not None and not REPO.fullmatch(repo):
        raise PublishError(f"repo={repo}: expected an owner and a name, like me/{record.name}")
    package = pack(record, what)
    card = record.directory / "publish" / what.replace(":", "-") / CARD
    write_file(card, package.card)
    shown = "private" if private else "[yellow]public[/]"
    console.say(f"[bold]{shown} {package.kind}[/] {repo or '(add repo=<owner>/<name>)'}")
    for line in summary(package):
        console.say(escape(line))
    for note in package.notes:
        console.say(f"[yellow]{escape(note)}[/]")
    console.say(f"[bold]card[/]  [dim]{escape(str(card))}[/]")
    if repo is None or not confirmed:
        console.say("nothing was sent: add repo=<owner>/<name> confirm=true to publish this")
        return
    address = upload(package, repo, f"Publish {record.name}: {what}", private=private)
    console.say(f"[green]✔[/] published: {address}")


def _flag(options: Mapping[str, str], name: str, default: str) -> bool:
    value = options.get(name, default)
    if value not in ("true", "false"):
        raise PublishError(f"{name}={value}: expected true or false")
    return value == "true"
