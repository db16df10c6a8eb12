# Mode and mtime are kept, both ways; nothing temporary is left.
umask 022
notes > a; chmod 640 a; touch -d '2001-02-03 04:05:06.789 UTC' a
nczip a; stat -c '%n %a %Y' a.ncz
rm a
nczip -d a.ncz; stat -c '%n %a %Y' a
notes | nczip -o new.ncz; stat -c '%n %a' new.ncz
ls -A
