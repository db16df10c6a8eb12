# --help is -h, goes to standard output, and fits 80 columns.
nczip --help
nczip -h | cmp - <(nczip --help) && unnczip --help | cmp - <(nczip --help) && echo same
nczip --help | awk 'length > 80'
