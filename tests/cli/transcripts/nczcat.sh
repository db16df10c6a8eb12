# nczcat is nczip -dc.
echo one > a; echo two > b
nczip -1 a b
nczcat a.ncz b.ncz a.ncz
