# -c writes to standard output, both ways, for several files; archives may be concatenated.
notes 3 > a; echo end > b
nczip -c a b > both.ncz
nczip -c -d both.ncz
ls
