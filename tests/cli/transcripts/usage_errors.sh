# What is asked wrongly is an error in one line, status 1, and nothing is written.
notes > a
nczip --foo a; echo $?
nczip --keepgoing a; echo $?
nczip -x a; echo $?
nczip -T two a; echo $?
nczip -T; echo $?
nczip -M 12Q a; echo $?
nczip --output-dir d -o x a; echo $?
nczip --rm -c a; echo $?
nczip decompress -9 a; echo $?
nczip completion tcsh; echo $?
ls
