# What exists is not overwritten without -f where nobody can be asked.
notes > a; echo precious > a.ncz
nczip a; echo $?
cat a.ncz
nczip -f a && nczip -t a.ncz && echo replaced
echo precious > a
nczip -d a.ncz; echo $?
cat a
nczip -df a.ncz && cmp a <(notes) && echo replaced
ls -A
