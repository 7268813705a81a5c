"""Ask a checkpoint about clips: on the command line (`predict`) and on a local page (`serve`).

Clips and pages are this process's; the model runs in the evaluation's environment (`worker`).
"""
