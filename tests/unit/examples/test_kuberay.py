"""The Kubernetes example against the fields of KubeRay's v1 types, and the files it copies."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.verbs.arguments import RecipeArguments, split

KUBERAY = ROOT / "examples" / "kuberay"
POD = {"metadata": None, "spec": None}
GROUP = {"rayStartParams": None, "template": POD}
WORKERS = {"groupName": None, "replicas": None, "minReplicas": None, "maxReplicas": None}
CLUSTER = {
    "rayVersion": None,
    "headGroupSpec": GROUP,
    "workerGroupSpecs": [{**WORKERS, "numOfHosts": None, "scaleStrategy": None, **GROUP}],
    "enableInTreeAutoscaling": None,
    "autoscalerOptions": None,
}
JOB = {
    "entrypoint": None,
    "shutdownAfterJobFinishes": None,
    "ttlSecondsAfterFinished": None,
    "activeDeadlineSeconds": None,
    "backoffLimit": None,
    "runtimeEnvYAML": None,
    "submissionMode": None,
    "submitterPodTemplate": None,
    "submitterConfig": None,
    "clusterSelector": None,
    "suspend": None,
    "rayClusterSpec": CLUSTER,
}
"""RayJobSpec and what is in it (ray-operator/apis/ray/v1/*_types.go), by its JSON names."""
REQUIRED = {"headGroupSpec", "rayStartParams", "template", "groupName"}


def resource(kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((KUBERAY / "rayjob.yaml").read_text())
    return next(document for document in documents if document["kind"] == kind)


def check(found: Any, known: Any, where: str) -> None:
    """Every field of `found` is in `known`, and what must be there is."""
    if isinstance(known, list):
        for item in found:
            check(item, known[0], where)
    elif isinstance(known, dict):
        assert set(found) <= set(known), f"{where}: unknown {set(found) - set(known)}"
        assert REQUIRED & set(known) <= set(found), f"{where}: lacks {REQUIRED - set(found)}"
        for key, value in found.items():
            check(value, known[key], f"{where}.{key}")


def test_the_job_has_only_fields_that_kuberay_knows() -> None:
    job = resource("RayJob")
    assert job["apiVersion"] == "ray.io/v1"
    check(job["spec"], JOB, "spec")


def test_a_misspelt_field_is_found() -> None:
    spec = resource("RayJob")["spec"]
    spec["rayClusterSpec"]["workerGroupSpecs"][0]["replica"] = 2
    with pytest.raises(AssertionError, match=r"workerGroupSpecs: unknown \{.replica.\}"):
        check(spec, JOB, "spec")


def test_start_parameters_are_texts_as_kuberay_wants_them() -> None:
    cluster = resource("RayJob")["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_entrypoint_is_a_command_line_of_ours_that_fits_the_pods() -> None:
    spec = resource("RayJob")["spec"]
    python, flag, module, verb, *arguments = shlex.split(spec["entrypoint"])
    assert (python, flag, module, verb) == ("python", "-m", "orchestrator", "run")
    own, overrides = split(verb, RecipeArguments, arguments)
    cluster = load_recipe(own.recipe, overrides).cluster
    (workers,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    (pod,) = workers["template"]["spec"]["containers"]
    limits = pod["resources"]["limits"]
    assert cluster.nodes == workers["replicas"] == workers["minReplicas"]
    assert cluster.gpus_per_node == int(limits["nvidia.com/gpu"])
    assert cluster.cpus_per_stage <= int(limits["cpu"])
    assert str(own.runs_dir) in [mount["mountPath"] for mount in pod["volumeMounts"]]


def test_every_mount_has_a_volume_and_the_runs_are_shared() -> None:
    cluster = resource("RayJob")["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
        claim = resource("PersistentVolumeClaim")
        claimed = volumes["runs"]["persistentVolumeClaim"]["claimName"]
        assert claimed == claim["metadata"]["name"]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_ray_is_of_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (version,) = [d.partition("==")[2] for d in project["dependencies"] if d.startswith("ray==")]
    assert resource("RayJob")["spec"]["rayClusterSpec"]["rayVersion"] == version
    assert f'"ray[default]=={version}"' in (KUBERAY / "Dockerfile").read_text()


def test_the_image_holds_every_package_and_the_uv_that_make_installs() -> None:
    text = (KUBERAY / "Dockerfile").read_text()
    copied = {
        Path(name) for line in re.findall(r"^COPY (.*)$", text, re.M) for name in line.split()
    }
    copied -= {Path(".")}
    assert all((ROOT / path).exists() for path in copied)
    code = {Path(name) for name in ("orchestrator", "data_builders", "reward_plugins", "recipes")}
    assert code | {Path("envs"), Path("Makefile"), Path("pyproject.toml")} <= copied
    assert re.findall(r"uv==\S+", text) == re.findall(
        r"uv==[\d.]+", (ROOT / "envs" / "uv.txt").read_text()
    )
