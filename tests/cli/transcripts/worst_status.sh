# After an error on one file the others are done; the exit status is the worst: 1 before 2 before 0.
notes > a; notes > b; mkdir d
nczip missing a; echo $?
nczip d b; echo $?
rm *.ncz; nczip missing d a b; echo $?
ls
nczip -d a.ncz missing.ncz; echo $?
