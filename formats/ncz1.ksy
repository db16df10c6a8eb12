meta:
  id: ncz1
  title: NCZ1, the container of nczip
  file-extension: ncz
  license: Apache-2.0
  endian: le
doc: |
  The layouts of ncz1.md, which has the rules that a layout cannot say: checks, limits, how methods decode.
seq:
  - id: frames
    type: frame
    repeat: eos
types:
  frame:
    seq:
      - id: magic
        contents: [0x9c, 0x4e, 0x5a]
      - id: major
        type: b4
        valid: 1
      - id: form
        type: b4
      - id: body
        type:
          switch-on: form
          cases:
            8: spoken
            9: named
            10: based
            15: full
            _: solo
  solo:
    doc: One block; forms 1 to 3 zstd, 4 to 6 mixture, 7 stored.
    seq:
      - id: raw_size
        type: varint
      - id: packed_size
        type: varint
      - id: check
        type: u4
        doc: CRC-32 of the frame's bytes before this field, then of the packed bytes
      - id: content_hash
        type: u4
        doc: low half of XXH3-64 of the content
      - id: packed
        size: packed_size.value
  spoken:
    doc: One block through a language model; its packed bytes begin with the configuration.
    seq:
      - id: raw_size
        type: varint
      - id: packed_size
        type: varint
        doc: of the configuration too
      - id: check
        type: u4
        doc: CRC-32 of the frame's bytes before this field, then of the packed bytes
      - id: content_hash
        type: u4
        doc: low half of XXH3-64 of the content
      - id: configuration
        type: language_configuration
      - id: packed
        size: packed_size.value - 12
  named:
    doc: One block; its packed bytes begin with its method and configuration.
    seq:
      - id: raw_size
        type: varint
      - id: packed_size
        type: varint
        doc: of the method and its configuration too
      - id: check
        type: u4
        doc: CRC-32 of the frame's bytes before this field, then of the packed bytes
      - id: content_hash
        type: u4
        doc: low half of XXH3-64 of the content
      - id: method
        type: method
      - id: packed
        size: packed_size.value - 2 - method.length
  based:
    doc: One block that follows a base; its packed bytes begin with the level and the name of the base.
    seq:
      - id: raw_size
        type: varint
      - id: packed_size
        type: varint
        doc: of the level and the name too
      - id: check
        type: u4
        doc: CRC-32 of the frame's bytes before this field, then of the packed bytes
      - id: content_hash
        type: u4
        doc: low half of XXH3-64 of the content
      - id: level
        type: u1
        doc: 1 to 3 zstd, 4 to 6 mixture
      - id: base
        size: 4
        doc: the beginning of the SHA-256 of the base
      - id: packed
        size: packed_size.value - 5
  language_configuration:
    seq:
      - id: version
        type: u1
      - id: level
        type: u1
      - id: table_bits
        type: u1
        doc: binary logarithm of the bytes of the mixture's largest table
      - id: window_bits
        type: u1
        doc: binary logarithm of the tokens that the model looks back on
      - id: model
        size: 8
        doc: the beginning of the SHA-256 of the model file
  full:
    seq:
      - id: length
        type: varint
      - id: fields
        size: length.value
        type: fields
      - id: header_check
        type: u4
        doc: CRC-32 of the frame's bytes before this field
      - id: blocks
        type: block
        repeat: until
        repeat-until: _.method == 0
        doc: the last one is the trailer's end mark
      - id: trailer
        type: trailer
  fields:
    seq:
      - id: field
        type: field
        repeat: eos
  field:
    seq:
      - id: tag
        type: varint
      - id: length
        type: varint
      - id: value
        size: length.value
        type:
          switch-on: tag.value
          cases:
            1: varint
            3: method_table
            5: varint
  method_table:
    seq:
      - id: methods
        type: method
        repeat: eos
  method:
    seq:
      - id: number
        type: u1
        enum: method_number
      - id: length
        type: u1
      - id: configuration
        size: length
        type:
          switch-on: number
          cases:
            method_number::language: language_configuration
            method_number::inflated: inner
            method_number::lines: inner
  inner:
    doc: The method that a wrapper is around.
    seq:
      - id: number
        type: u1
        enum: method_number
      - id: configuration
        size-eos: true
        type:
          switch-on: number
          cases:
            method_number::language: language_configuration
  block:
    seq:
      - id: method
        type: u1
        doc: 1 + position in the method table, or 0 for the end mark
      - id: body
        type: block_body
        if: method != 0
  block_body:
    seq:
      - id: raw_size
        type: varint
      - id: packed_size
        type: varint
      - id: check
        type: u4
        doc: CRC-32 of the block's bytes before this field, then of the packed bytes
      - id: content_hash
        type: u8
        doc: XXH3-64 of the content
      - id: packed
        size: packed_size.value
  trailer:
    doc: What follows the end mark.
    seq:
      - id: raw_size
        type: varint
      - id: content_hash
        type: u8
        doc: XXH3-64 of the frame's whole content
      - id: block_count
        type: varint
      - id: index
        type: index_entry
        repeat: expr
        repeat-expr: block_count.value
      - id: body_length
        type: varint
        doc: bytes from the frame's first byte to before the end mark
      - id: index_check
        type: u4
        doc: CRC-32 from the end mark to before this field
      - id: trailer_length
        type: u4
        doc: bytes from the end mark to the end of the frame
      - id: footer_magic
        contents: [0x5a, 0x4e, 0x9c, 0x1f]
  index_entry:
    seq:
      - id: block_length
        type: varint
      - id: raw_size
        type: varint
  varint:
    doc: LEB128, at most 10 bytes. Products instead of shifts, for languages whose shifts stop at 32 bits.
    seq:
      - id: groups
        type: u1
        repeat: until
        repeat-until: _ < 0x80
    instances:
      value:
        value: >-
          groups[0] % 0x80
          + (groups.size > 1 ? groups[1] % 0x80 * 0x80 : 0)
          + (groups.size > 2 ? groups[2] % 0x80 * 0x4000 : 0)
          + (groups.size > 3 ? groups[3] % 0x80 * 0x200000 : 0)
          + (groups.size > 4 ? groups[4] % 0x80 * 0x10000000 : 0)
          + (groups.size > 5 ? groups[5] % 0x80 * 0x800000000 : 0)
          + (groups.size > 6 ? groups[6] % 0x80 * 0x40000000000 : 0)
          + (groups.size > 7 ? groups[7] % 0x80 * 0x2000000000000 : 0)
          + (groups.size > 8 ? groups[8] % 0x80 * 0x100000000000000 : 0)
          + (groups.size > 9 ? groups[9] % 0x80 * 0x8000000000000000 : 0)
enums:
  method_number:
    0: stored
    1: zstd
    2: mixture
    3: language
    4: planes
    5: tensor
    6: inflated
    8: lines
