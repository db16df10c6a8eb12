"""nczip: a lossless compressor for when size matters most."""
