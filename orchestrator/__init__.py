"""Recipe -> plan -> launch -> run directory -> report: thin orchestration of stock trainers."""
