# Short options run together, values joined or not, in any order, as hands know them from zstd and xz.
notes > a
nczip -zkf6T2 a && nczip -T2 -6 -fk a && nczip a -f -T 2 && nczip -kfT0 a && echo compressed
nczip -dkf a.ncz && nczip -dcf < a.ncz | cmp - a && nczip -d -c -T2 a.ncz | cmp - a && echo same
nczip -dc < a.ncz | cmp - a && nczip -cd a.ncz | cmp - a && echo same
nczip -tdlt a.ncz && echo the last operation counts
cp a ./-dash; nczip -- -dash && ls
