# nczip F writes F.ncz and keeps F, without a word.
notes > a; notes 200 > b
nczip a b
ls -A
nczip -dc a.ncz | cmp - a && nczip -dc b.ncz | cmp - b && echo same
