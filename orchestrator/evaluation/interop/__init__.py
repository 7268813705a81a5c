"""Questions for other harnesses, and their answers: lmms-eval and VLMEvalKit."""
