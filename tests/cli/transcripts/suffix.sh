# A suffix that is there already, or is not there: skipped with a warning unless the output is named.
notes > a; nczip a; cp a.ncz b
nczip a.ncz; echo $?
nczip -f a.ncz && ls && nczip -dc a.ncz.ncz | cmp - a.ncz && echo same
nczip -c a.ncz | nczip -dc | cmp - a.ncz && echo same
nczip -d b; echo $?
nczip -df b; echo $?
nczip -dc b | cmp - a && nczip -d -o c b && cmp a c && echo same
mv b .ncz; nczip -d .ncz; echo $?
