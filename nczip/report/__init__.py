"""The report: what nczip and its peers make of the same files in the same run.

Every figure that is not marked as quoted is measured here, by processes started one after another, and every
archive is decompressed and compared. ``results`` runs codecs and holds the figures, ``reference`` adds what a
language model says alone, ``render`` writes them, ``plot`` draws them.
"""
