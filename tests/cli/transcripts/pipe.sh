# Without a file: standard input to standard output.
notes 3 | nczip | nczip -d
