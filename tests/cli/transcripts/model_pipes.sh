# Levels with a model in pipes, in tar, in frames one after another, with threads and under a limit.
export NCZIP_MODEL_DIR=$MODELS
mkdir src; spoken 40 > src/a; spoken 3 > src/b
for level in 7 8 9; do
    nczip -$level < src/a | nczip -d | cmp - src/a && echo "$level: same"
    tar -I "nczip -$level" -cf $level.tar.ncz src
    mkdir out; tar -I nczip -xf $level.tar.ncz -C out && diff -r src out/src && echo "$level: tar"; rm -r out
    nczip -$level -T1 --block-size 300 -c src/a > one.ncz
    nczip -$level -T2 --block-size 300 -c src/a | cmp - one.ncz && echo "$level: threads"
    nczip -dc -T1 one.ncz | cmp - src/a; nczip -dc -T2 one.ncz | cmp - src/a; nczip -dc -M 200M -T2 one.ncz | cmp - src/a
    nczip -$level -c src/b >> one.ncz; nczip -dc one.ncz | cmp - <(cat src/a src/b) && echo "$level: frames"
    nczip -$level -M 200M -c src/a | nczip -dc -M 200M | cmp - src/a && echo "$level: limit"
    nczip -$level -M 100M -c src/a 2>&1 | mask
    nczip -d -M 100M -c one.ncz 2>&1 | mask
done
