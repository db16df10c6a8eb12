# -m names the model: by name, hash or path. It is for compressing at levels 7 to 9 alone.
cp -r "$MODELS" models; export NCZIP_MODEL_DIR=models
spoken > a
file=$(ls models); hash=${file#*-}; hash=${hash%.ncm}
nczip -8 -c a > 8.ncz
for model in tiny "${hash:0:6}" "models/$file"; do nczip -8 -m "$model" -c a | cmp - 8.ncz && echo same; done
mkdir elsewhere; cp "models/$file" elsewhere/it.ncm
NCZIP_MODEL_DIR=none nczip compress -8 --model ./elsewhere/it.ncm -c a | cmp - 8.ncz && echo same
nczip -8 -m nobody a; echo $?
nczip -8 -m nowhere.ncm a; echo $?
nczip -m tiny a; echo $?
nczip -d -m tiny 8.ncz; echo $?
ls
