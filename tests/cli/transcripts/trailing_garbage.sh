# Bytes behind the archive are an error that names their place, after the content was given out.
echo content > a; nczip -1 a
{ cat a.ncz; echo garbage; } > b.ncz
nczip -dc b.ncz; echo $?
nczip -d b.ncz; echo $?
ls
