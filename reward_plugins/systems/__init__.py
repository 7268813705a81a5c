"""Terms of the rewards of published systems, one file each, for `rl.reward.terms`."""
