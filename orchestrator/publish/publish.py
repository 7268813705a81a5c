"""`publish`: show everything first, send it only when it is confirmed."""

from __future__ import annotations

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.publish.card import CARD
from orchestrator.publish.package import pack, summary
from orchestrator.publish.upload import upload
from orchestrator.run import policies
from orchestrator.trace.record import Record
from reward_plugins.files import write_file


def publish(
    record: Record, console: Console, what: str | None, repo: str | None, private: bool, send: bool
) -> None:
    """Print what would go to `repo` and where the card lies; with `send`, send it.

    `what` is a policy, None the last one, or `data`. Raises `PublishError`.
    """
    what = what or policies.names(record.recipe)[-1]
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
    if repo is None or not send:
        console.say("nothing was sent: add repo=<owner>/<name> confirm=true to publish this")
        return
    address = upload(package, repo, f"Publish {record.name}: {what}", private=private)
    console.say(f"[green]✔[/] published: {address}")
