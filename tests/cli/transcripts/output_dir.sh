# --output-dir makes its directory; with -r it holds the same tree.
mkdir -p src/deep; echo 1 > src/a; echo 2 > src/deep/b; echo 3 > c
nczip --output-dir out -r src c; echo $?
find out -type f | sort
nczip -d --output-dir back -r out; find back -type f | sort
(cd src && nczip --output-dir ../flat -r .); find flat -type f | sort
nczip --output-dir out -c c; echo $?
nczip --output-dir out < c; echo $?
