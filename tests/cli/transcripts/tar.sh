# tar packs and unpacks through nczip.
mkdir src; notes > src/a; notes 2 > src/b
tar -I nczip -cf src.tar.ncz src
mv src was
tar -I nczip -xf src.tar.ncz
diff -r was src && echo same
tar -I 'nczip -1 -T2' -cf - src | nczip -t && echo intact
