"""Questions put to a policy in training: responses are sampled, scored, and kept by their score."""
