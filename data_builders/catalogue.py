"""Published data sets: where they are kept, at which revision, and which source needs which."""

from __future__ import annotations

from data_builders.hub import Source
from data_builders.source_specs import SourceName

CAMERABENCH_TEST_CLIPS = Source(repo="syCen/Videos4CameraBench", patterns=("*.mp4",))
"""1,071 clips, 4.39 GB, CC BY 4.0."""
CAMERABENCH_TRAIN_CLIPS = Source(repo="chancharikm/cambench_train_videos", patterns=("videos.zip",))
SHOTBENCH = Source(
    repo="Vchitect/ShotBench",
    revision="03c0ce17a9a8c77ecfdd7f4c66c534c23bd7b596",
    patterns=("test.tsv", "images.tar", "videos.tar"),
)
"""3.34 GB, Apache-2.0."""
MOTIONBENCH = Source(
    repo="zai-org/MotionBench", revision="37e193ef23b55aa6876355a044c9cb7462779645"
)
"""CC BY-NC-SA 4.0; 5,385 clips, of which its camera-motion questions need a few hundred."""
SHOTQA = Source(repo="Vchitect/ShotQA")
"""Gated; CC BY-NC-ND 4.0."""

REPOSITORIES: dict[SourceName, tuple[str, ...]] = {
    "camerabench": (CAMERABENCH_TRAIN_CLIPS.repo, CAMERABENCH_TEST_CLIPS.repo),
    "shotqa": (SHOTQA.repo,),
    "shotbench": (SHOTBENCH.repo,),
    "shotbench_camera_movement": (SHOTBENCH.repo,),
    "refineshot": (SHOTBENCH.repo,),
    "motionbench_camera": (MOTIONBENCH.repo,),
}
"""Data sets on the Hub that a source needs."""
