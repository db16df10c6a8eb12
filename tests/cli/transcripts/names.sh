# A first word that names a subcommand is that subcommand; ./ makes it a file.
notes > report
nczip ./report && ls
nczip report | cmp - /dev/null; echo "${PIPESTATUS[0]}"
nczip -kf report && echo an option before it makes it a file too
