# Levels 7 to 9 need a model, and so does what they made. Without it: how to get it, status 3, nothing written.
spoken > a
for option in -7 -8 -9 --level=8 "-8 -m other"; do nczip $option a; echo $?; done
nczip -8 a missing b 2> /dev/null; echo $?
ls
for level in 7 8 9; do
    NCZIP_MODEL_DIR=$MODELS nczip -$level -c a > $level.ncz
    nczip -d $level.ncz; echo $?
    NCZIP_MODEL_DIR=$MODELS nczip -dc $level.ncz | cmp - a && echo "$level: same"
done
nczip -t 8.ncz 9.ncz; echo $?
nczip -d --keep-going 8.ncz; echo $?
nczip -t 8.ncz a; echo $?
ls
nczip --level 0 a; echo $?
nczip --level 10 a; echo $?
