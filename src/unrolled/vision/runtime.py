"""Start ONNX Runtime, set up for many runs at once on one thread each, and to tell nobody of it."""

from __future__ import annotations

import os
from typing import Any

from unrolled.errors import EncoderError

__all__ = ["start_session"]


def start_session(graph: bytes, *, where: str) -> Any:
    """Start ONNX Runtime on a graph, one thread to a run and no word on the terminal.

    Parameters
    ----------
    graph : bytes
        A serialized ONNX model.
    where : str
        What to call the graph in an error.

    Returns
    -------
    onnxruntime.InferenceSession
        Its ``run`` may be called from several threads at once.

    Raises
    ------
    EncoderError
        ONNX Runtime cannot load the graph.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is on, unless this is there first
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise EncoderError(f"{where}: ONNX Runtime cannot load its graph ({error})") from error
