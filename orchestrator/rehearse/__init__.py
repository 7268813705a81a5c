"""The very recipe, smaller by a declared list of keys, through all it names: `make rehearse`."""
