# -d strips the suffix; unnczip is -d.
notes > a.txt
nczip a.txt && rm a.txt
nczip -d a.txt.ncz && ls && rm a.txt
unnczip a.txt.ncz && ls
cmp a.txt <(notes) && echo same
