# -t decodes, checks and writes nothing.
notes > a; nczip a
nczip -t a.ncz; echo $?
nczip -t < a.ncz; echo $?
nczip -tv a.ncz 2>&1 | mask
{ head -c -1 a.ncz; echo; } > flipped.ncz
nczip -t flipped.ncz a.ncz; echo $?
ls
