"""Every checkpoint answers the same held-out questions; scores come with what they hide."""
