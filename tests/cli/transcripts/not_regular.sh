# Directories, fifos and devices are skipped; nothing waits for them.
mkdir d; mkfifo pipe; notes > a
nczip d pipe /dev/null a; echo $?
ls
nczip -c /dev/null | nczip -dc | wc -c
