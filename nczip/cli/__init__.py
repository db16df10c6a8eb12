"""The command line: options, files, progress. What happens to the bytes lives in ``nczip.stream``."""
