# -o names the output.
notes > a
nczip -o x a && nczip -d -o y x && cmp a y && echo same
nczip -o- a | nczip -d -o - | cmp - a && echo same
echo precious > z; nczip -o z a; echo $?
nczip -fo z a && nczip -t z && echo replaced
nczip -o b a x; echo $?
nczip -o b -r .; echo $?
nczip -fo a a; echo $?
nczip -o nowhere/b a; echo $?
mkdir d; nczip -o d a; echo $?
ls -A
