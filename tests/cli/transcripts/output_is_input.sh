# What is read is not written to, or it would never end.
notes 2000 > a
cp a before
nczip -1 -c a >> a; echo $?
nczip -1 < a >> a; echo $?
cmp a before && echo untouched
