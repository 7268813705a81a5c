"""What a run came to: one page with the scores, the training curves and examples.

`pages.write_report` writes the page; `table.summary_table` is its headline for a terminal, and
imports no plotting: a run that reuses everything shows it at once.
"""
