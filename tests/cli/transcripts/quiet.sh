# -q silences warnings, not errors; the exit status stays.
mkdir d; notes > a
nczip -q a d; echo $?
nczip -q a; echo $?
