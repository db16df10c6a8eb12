export NCZIP_MODEL_DIR=$MODELS
spoken 3 >notes.txt
nczip -7 --device cpu -c notes.txt | nczip -d --device cpu | cmp - notes.txt && echo back
echo '# Other levels have no use for a GPU.'
nczip -4 --device cuda notes.txt; echo $?
nczip -4 notes.txt && nczip -d --device cuda -c notes.txt.ncz | cmp - notes.txt && echo back
echo '# No GPU that can be seen: one sentence, and nothing is left.'
export CUDA_VISIBLE_DEVICES=
sentence() { sed -E 's/(CUDA needs|there is no) NVIDIA.*/no GPU/'; }
nczip -7 --device cuda -o other.ncz notes.txt 2>&1 | sentence
ls
nczip -7 -o other.ncz notes.txt && nczip -d -c --device cuda other.ncz 2>&1 | sentence
nczip -7 --device tpu notes.txt
