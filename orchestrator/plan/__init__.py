"""One file a trainer: recipe -> that trainer's own config and command."""
