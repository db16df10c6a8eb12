"""Hostile blocks of language models: what each one tries, and the error that it must end in."""

from __future__ import annotations

from forge import (
    ABSENT,
    SPOKEN,
    solo,
    spoken_block,
    spoken_full,
    spoken_method,
    spoken_solo,
)
from hostile import Attack

import nczip
from nczip import levels
from nczip.models import store

LANGUAGE_ATTACKS = [
    Attack(
        "no room for a configuration",
        "have fewer packed bytes than the configuration that they begin with",
        solo(8, 1000, 11, bytes(11)),
        nczip.CorruptError,
        "frame at byte 0: its header is damaged",
    ),
    Attack(
        "empty language block",
        "start a language model for no content",
        solo(8, 0, 0, b""),
        nczip.CorruptError,
        "frame at byte 0: its header is damaged",
    ),
    Attack(
        "cut in its configuration",
        "end inside the name of the model",
        spoken_solo(spoken_method())[:23],
        nczip.TruncatedError,
        "the archive is cut off at byte 23",
    ),
    Attack(
        "language block that grows",
        "hide behind the configuration that packed bytes are more than the content",
        spoken_solo(spoken_method(), 10, b""),
        nczip.CorruptError,
        "frame at byte 0: it claims 12 packed bytes for 10 bytes of content",
    ),
    Attack(
        "hours in a language block",
        "have a language model write a quarter of a gigabyte from nothing",
        spoken_solo(spoken_method(), 1 << 28),
        nczip.CorruptError,
        "frame at byte 0: it claims 268435456 bytes of content; 16777216 are allowed here",
    ),
    Attack(
        "hours in a full frame",
        "the same where the header allows it to other methods",
        spoken_full(spoken_method(), 1 << 28, max_block=1 << 28),
        nczip.CorruptError,
        "block at byte 35: it claims 268435456 bytes of content; 16777216 are allowed here",
    ),
    *(
        Attack(
            f"newer language model, {what}",
            "a configuration that does not exist yet",
            archive,
            nczip.NewerVersionError,
            "made by a mixture version that this nczip does not know",
        )
        for what, config in {
            "version": spoken_method(version=2),
            "level 6": spoken_method(level=6),
            "level 10": spoken_method(level=10),
            "small table": spoken_method(table_bits=15),
            "large table": spoken_method(table_bits=27),
            "endless table": spoken_method(table_bits=255),
            "short window": spoken_method(window_bits=5),
            "endless window": spoken_method(window_bits=255),
            "nothing": bytes(12),
        }.items()
        for what, archive in ((what, spoken_solo(config)), (f"{what}, full", spoken_full(config)))
        if what != "nothing, full"
    ),
    *(
        Attack(
            f"configuration of {length} bytes",
            "have bytes read past the end of a configuration",
            spoken_full((spoken_method() + bytes(255))[:length]),
            nczip.NewerVersionError,
            "made by a mixture version that this nczip does not know",
        )
        for length in (0, 1, 4, 11, 13, 255)
    ),
    *(
        Attack(
            f"model that nobody has, {what}",
            "name a model that is not there",
            archive,
            nczip.MissingModelError,
            f"the model {ABSENT.hex()} is not in {store.directory()}; nczip models list shows what there is",
        )
        for what, archive in {
            "solo": spoken_solo(spoken_method(model=ABSENT)),
            "full": spoken_full(spoken_method(model=ABSENT)),
        }.items()
    ),
    *(
        Attack(
            f"level {level} past its end",
            "have the last token written beyond the block",
            spoken_solo(
                levels.default_method(level).config,
                SPOKEN.rindex(b"model") + 2,
                spoken_block(level, SPOKEN),
                SPOKEN[: SPOKEN.rindex(b"model") + 2],
            ),
            nczip.CorruptError,
            "block at byte 0: the packed bytes end inside a token",
        )
        for level in (7, 8, 9)
    ),
    *(
        Attack(
            f"hours at level {level}",
            "have a language model write 16 MiB after packed bytes that have ended",
            spoken_solo(levels.default_method(level).config, 1 << 24),
            nczip.CorruptError,
            "block at byte 0: the packed bytes end before the content",
        )
        for level in (7, 8, 9)
    ),
]
