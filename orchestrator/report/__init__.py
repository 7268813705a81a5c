"""What a run came to: one page with the scores, the training curves and examples."""

from orchestrator.report.pages import write_report
from orchestrator.report.table import summary_table

__all__ = ["summary_table", "write_report"]
