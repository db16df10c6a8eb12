"""What the mixture knows before its first byte: made here, from public texts, for developers; not shipped."""
