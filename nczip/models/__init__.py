"""Language models: the files that hold them, where they lie, and what they are made from."""
