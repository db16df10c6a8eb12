# An empty name, as from a variable that is not set, is said in words.
notes 100 > a
nczip -o '' a; echo $?
nczip -o '' < a; echo $?
ls
