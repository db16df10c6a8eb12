# Each subcommand explains itself.
nczip compress --help
nczip decompress -h
nczip completion -h
