"""Push a run's policy or its questions to the Hugging Face Hub, with a card from its manifests."""
