# -k keeps, --rm removes; the last one counts, and an input whose output failed stays.
notes > a; nczip --rm a; ls
nczip -d --rm a.ncz; ls
nczip --rm -k a; ls
rm a.ncz; nczip -k --rm a; ls
head -c 20 a.ncz > cut.ncz; nczip -d --rm cut.ncz; echo $?; ls
nczip -d --rm -c a.ncz; echo $?
