# Slow work is announced when its first half second has shown how long it takes; an interruption leaves nothing.
truncate -s 1T huge
nczip -3 -T1 -v huge 2> said & sleep 0.1
until grep -q takes said || ! kill -0 $! 2> /dev/null; do sleep 0.1; done
kill -TERM $!; wait $!; echo $?
tail -n 1 said | sed -E 's/about [0-9].*/about #/'
ls -A
