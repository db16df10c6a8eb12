# A symbolic link is skipped unless -f, or unless the output is named.
notes > a; ln -s a link; ln -s nowhere dangling
nczip link; echo $?
nczip -c link | nczip -d | cmp - a && echo same
nczip -f link && ls
nczip dangling; echo $?
nczip -f dangling; echo $?
rm link.ncz; nczip -f a; ln -s a.ncz link.ncz
nczip -t link.ncz && nczip -l link.ncz > /dev/null && echo read
nczip -d --rm -f link.ncz && ls -F
