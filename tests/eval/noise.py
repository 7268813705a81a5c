"""Questions about clips of noise."""

from __future__ import annotations

from data_builders.media import video
from data_builders.sample import Sample


def make_samples(clips: int = 3, questions: int = 4) -> list[Sample]:
    return [
        Sample(
            id=f"{clip}/{number}",
            dataset="noise",
            split="test",
            task="binary",
            category=("pan_left", "zoom_in", "static")[clip % 3],
            media=(video(f"{clip}.mp4"),),
            question="Does the camera " + "slowly " * number + "pan?",
            options=("Yes", "No"),
            answer="AB"[number % 2],
            observation="o",
            think="t",
        )
        for clip in range(clips)
        for number in range(questions)
    ]
