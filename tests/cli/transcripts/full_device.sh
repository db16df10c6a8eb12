# A full disk is one sentence.
notes 3000 > a; nczip a
nczip -c a > /dev/full; echo $?
nczip -dc a.ncz > /dev/full; echo $?
nczip --help > /dev/full; echo $?
