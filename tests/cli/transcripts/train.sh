# nczip train makes a base of samples, for many small files like them.
mkdir samples
for i in $(seq 1 300); do
    echo "{\"id\":$((i * 7919 % 10007)),\"name\":\"number $i\",\"tags\":[\"even\",\"odd\"],\"price\":$((i * 31 % 100)).99}"
done > all
split -l 1 -a 3 -d all samples/
nczip train -o base -r samples; echo $?
nczip train -q -o again --lines all && wc -c < again
nczip train -o small --size 1K --lines all; echo $?
nczip train -o base --lines all; echo $?
nczip train -q -f -o base --lines all; cmp base again && echo the same
echo '{"id":4711,"name":"number 4711","tags":["even","odd"],"price":12.99}' > record
nczip -v -k --base base record 2>&1 | grep -c 'with the base'
echo "$(wc -c < record) to $(wc -c < record.ncz)"
rm record; nczip -d --base base record.ncz && cat record
nczip train -o none; echo $?
nczip train all; echo $?
: > empty; nczip train -o none empty; echo $?
nczip train -o none --lines nothing; echo $?
ls
