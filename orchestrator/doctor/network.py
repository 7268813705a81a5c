"""Whether this machine reaches what a recipe needs from elsewhere, and has ports of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from data_builders.catalogue import REPOSITORIES
from data_builders.source_specs import Repository
from orchestrator.doctor.machine import Verdict
from orchestrator.errors import ResourceError
from orchestrator.places import LOCKS
from orchestrator.plan.loggers import missing, unavailable
from orchestrator.plan.make import Plan
from orchestrator.recipe import Recipe
from orchestrator.run import cluster, store
from reward_plugins.errors import CamReasonerError

RAY_PORTS, PORTS_A_DEVICE = 16, 4
"""Ports that a local Ray opens, and that trainer and rollout open for a device; about."""


def network(plan: Plan) -> Iterator[Verdict]:
    """Every check of what is elsewhere."""
    yield from repositories(plan)
    yield from training_questions(plan)
    yield from loggers(plan)
    yield rendezvous(plan.recipe)
    yield review_page(plan.recipe)


def repositories(plan: Plan) -> Iterator[Verdict]:
    """Base model and data sets: built, here before, or to be had by this account."""
    name, wanted = plan.recipe.model.path, []
    if name is None:
        yield True, "base model: built here"
    elif Path(name).is_dir() or store.is_done(plan.stage("model")):
        yield True, f"base model: {name} is on this machine"
    else:
        wanted.append(Repository(repo=name, revision=plan.recipe.model.revision, kind="model"))
    if not store.is_done(plan.stage("data")):
        wanted += _data_sets(plan.recipe)
    silent: set[bool] = set()
    for one in wanted:
        on_github = one.kind == "github"
        if on_github not in silent:
            right, text = repository(one)
            yield right, text
            if right is None:  # nor can it be asked about others
                silent.add(on_github)


def _data_sets(recipe: Recipe) -> list[Repository]:
    used = [spec for n, spec in (recipe.data.files or {}).items() if n in recipe.data.sources]
    own = [each for spec in used for each in (spec.rows, spec.clips)]
    named = (each for source in recipe.data.sources for each in REPOSITORIES.get(source, ()))
    wanted = [*(each for each in own if isinstance(each, Repository)), *named]
    return [each for n, each in enumerate(wanted) if each not in wanted[:n]]


def repository(wanted: Repository) -> Verdict:
    """Whether this account gets what is wanted of a repository; None where it can't be asked."""
    from data_builders.repositories import FetchError, explained, files_of, is_refusal

    try:
        with explained(wanted, Path()):
            files_of(wanted)
    except FetchError as error:
        return (False if is_refusal(error) else None), f"{wanted.kind}: {error}"
    return True, f"{wanted.kind}: {wanted.repo} at {wanted.revision} is there"


def training_questions(plan: Plan) -> Iterator[Verdict]:
    """What the data stage itself checks before it fetches: annotations, teacher and judge."""
    from data_builders.build import check
    from data_builders.gathering import BuildConfig

    stage = plan.stage("data")
    if store.is_done(stage) or plan.recipe.data.sources == ("synthetic",):
        return
    config = BuildConfig.model_validate_json(stage.files[str(stage.directory / "data.json")])
    try:
        check(config)
    except CamReasonerError as error:
        yield False, f"data: {error}"
    else:
        yield True, "data: its questions, and who writes traces for them, are there"


def loggers(plan: Plan, locks: Path = LOCKS) -> Iterator[Verdict]:
    """One verdict a missing package, one a service that is out of reach."""
    for fault in missing(plan.recipe.loggers, plan.stages, locks):
        yield False, fault
    for name, why in unavailable(plan.recipe.loggers):
        yield None, f"loggers: {name} will log offline: {why}"


def rendezvous(recipe: Recipe) -> Verdict:
    """Ray, the process groups and the rollout servers choose free ports on this machine."""
    address = recipe.cluster.address
    if address is not None:
        try:
            cluster.check_address(address)
        except ResourceError as error:
            return False, str(error)
        return True, f"cluster.address: nothing speaks against {address}"
    here = "127.0.0.1"
    wanted = RAY_PORTS + PORTS_A_DEVICE * max(1, recipe.devices)
    try:
        with ExitStack() as held:
            for _ in range(wanted):
                held.enter_context(socket.create_server((here, 0)))
    except OSError as error:
        return False, (
            f"ports: {wanted} free ones are needed on {here} ({error}); see "
            "net.ipv4.ip_local_port_range and `ulimit -n`"
        )
    return True, f"ports: {wanted} free ones on {here} for Ray and the process groups"


def review_page(recipe: Recipe) -> Verdict:
    """The port of `make review`, which no stage waits for."""
    port = recipe.review.port
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        return None, f"review.port: {port} can't be had now ({error}); 0 takes any free one"
    return True, f"review.port: {port or 'any'} is free"
