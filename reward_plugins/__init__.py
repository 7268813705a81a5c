"""Format and accuracy rewards and the EMA advantage estimator, usable without the rest."""
