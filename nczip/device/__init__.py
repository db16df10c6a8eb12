"""The batched path of level 7: many blocks side by side on a GPU, the same archives."""
