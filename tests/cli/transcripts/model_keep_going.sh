# --keep-going gets what is intact out of an archive that needs a model.
export NCZIP_MODEL_DIR=$MODELS
spoken > a
nczip -8 --block-size 300 a
printf '\x00\x00\x00\x00' | dd of=a.ncz bs=1 seek=75 conv=notrunc status=none
nczip -t a.ncz > said 2>&1; echo $?; sed -E 's/byte [0-9]+/byte #/' said
nczip -d --keep-going -o out a.ncz 2>&1 | sed -E 's/archive bytes [0-9]+ to [0-9]+/archive bytes #/'
stat -c %s a out
