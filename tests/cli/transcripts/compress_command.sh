# The long subcommands do what nczip F and nczip -d F do.
notes > a
nczip compress a && ls
rm a
nczip decompress a.ncz && ls
cmp a <(notes) && echo same
