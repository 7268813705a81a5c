"""Published data sets: where they are kept, at which revision, and which source needs which."""

from __future__ import annotations

from data_builders.source_specs import Repository

CAMERABENCH_ANNOTATIONS = Repository(
    repo="linzhiqiu/t2v_metrics",
    revision="6ecb74f92028f42c7e64546d3a71e98c8c73068f",
    patterns=("camerabench/data/*",),
    kind="github",
)
"""15 motions and 81 pair tasks as JSON lines, CC BY 4.0."""
CAMERABENCH_TEST_CLIPS = Repository(repo="syCen/Videos4CameraBench", patterns=("*.mp4",))
"""1,071 clips, 4.39 GB, CC BY 4.0."""
CAMERABENCH_TRAIN_CLIPS = Repository(
    repo="chancharikm/cambench_train_videos", patterns=("videos.zip",)
)
SHOTBENCH = Repository(
    repo="Vchitect/ShotBench",
    revision="03c0ce17a9a8c77ecfdd7f4c66c534c23bd7b596",
    patterns=("test.tsv", "images.tar", "videos.tar"),
)
"""3.34 GB, Apache-2.0."""
MOTIONBENCH = Repository(
    repo="zai-org/MotionBench", revision="37e193ef23b55aa6876355a044c9cb7462779645"
)
"""CC BY-NC-SA 4.0; 5,385 clips, of which its camera-motion questions need a few hundred."""
SHOTQA = Repository(repo="Vchitect/ShotQA")
"""Gated; CC BY-NC-ND 4.0."""

REPOSITORIES: dict[str, tuple[Repository, ...]] = {
    "camerabench": (CAMERABENCH_ANNOTATIONS, CAMERABENCH_TEST_CLIPS),
    "shotqa": (SHOTQA,),
    "shotbench": (SHOTBENCH,),
    "shotbench_camera_movement": (SHOTBENCH,),
    "refineshot": (SHOTBENCH,),
    "motionbench_camera": (MOTIONBENCH,),
}
"""What a built-in source fetches."""
