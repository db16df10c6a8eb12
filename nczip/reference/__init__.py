"""The stages of the core again, slow and obvious. Tests hold the two equal, bit for bit."""
