"""Did an SFT stage train at all? A trainer may log a loss of NaN as 0, and save NaN, in silence.

The Hugging Face trainer leaves NaN out of the losses that it averages (`logging_nan_inf_filter`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from orchestrator.errors import StageError
from orchestrator.run.history import Row

EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
"""By safetensors' names of types: how to read a number's bits, and which are the exponent's: all of
them are set in NaN and infinity."""
REMEDY = (
    "the data, the learning rate or the exchange between devices broke it: look at the first rows "
    "of the log, then try sft.precision=fp32, another sft.zero_stage, or one device"
)


def check(checkpoints: Path, rows: Iterable[Row]) -> None:
    """Raise `StageError` for a loss that is 0 or no number, and for weights that are no numbers."""
    if dead := [row["step"] for row in rows if not 0 < row["loss"] < float("inf")]:
        raise StageError(
            f"{checkpoints.parent}: the loss is exactly 0 or no number at {len(dead)} of the "
            f"logged steps, first at step {dead[0]}: nothing was learned there; {REMEDY}"
        )
    for path in sorted(checkpoints.glob("checkpoint-*/*.safetensors")):
        if broken := list(not_finite(path)):
            raise StageError(
                f"{path}: {len(broken)} tensors hold NaN or infinity ({', '.join(broken[:3])}); "
                f"{REMEDY}"
            )


def not_finite(path: Path) -> Iterator[str]:
    """Names of the tensors of a safetensors file that hold a NaN or an infinity."""
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8))
    for name, tensor in header.items():
        if name == "__metadata__" or tensor["dtype"] not in EXPONENTS:
            continue
        kind, exponent = EXPONENTS[tensor["dtype"]]
        first, last = tensor["data_offsets"]
        count = (last - first) // np.dtype(kind).itemsize
        if count:
            bits = np.memmap(path, kind, "r", start + first, (count,))
            if bool(np.any((bits & exponent) == exponent)):
                yield name
