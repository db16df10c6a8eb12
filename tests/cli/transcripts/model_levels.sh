# Levels with a language model belong to a later version.
notes > a
for option in -7 -8 -9 --level=9; do nczip $option a; echo $?; done
nczip --level 0 a; echo $?
nczip --level 10 a; echo $?
ls
