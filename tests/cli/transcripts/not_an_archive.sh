# Each thing that is not a whole archive is refused with one sentence that says which.
notes > a; nczip a; notes 50000 > big; nczip -1 --block-size 64K big
cp a plain.ncz; : > empty.ncz
head -c 2 a.ncz > tiny.ncz; head -c 40 a.ncz > cut.ncz; head -c 2000 big.ncz > bigcut.ncz
mkdir out
for name in plain empty tiny cut bigcut; do nczip -d --output-dir out $name.ncz; echo $?; done
nczip -d < /dev/null; echo $?
ls -A out
