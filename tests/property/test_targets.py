"""x86 code comes back from absolute targets, whatever its operands and wherever pieces of it end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nczip import _core, knowledge
from nczip.reference import targets

opcodes = st.sampled_from([b"\xe8", b"\x48\x8d\x05", b"\x4f\x39\x3d", b"\x48\x8d\xc5", b"\xe9", b""])
operands = st.one_of(
    st.integers(-600, 600).map(lambda distance: distance.to_bytes(4, "little", signed=True)),
    st.binary(max_size=6),
)
CALLS = b"".join(  # of three targets, so often that absolute ones pay
    b"\xe8" + (i % 3 * 47 - 5 * i - 5).to_bytes(4, "little", signed=True) for i in range(200)
)
codes = st.lists(st.builds(bytes.__add__, opcodes, operands), max_size=60).map(b"".join)


@given(code=codes)
def test_absolute_targets_are_a_bijection(code: bytes) -> None:
    assert targets.restore(targets.make_absolute(code)) == code
    assert targets.make_absolute(targets.restore(code)) == code


@given(code=codes, pieces=st.lists(st.integers(1, 40), min_size=1))
def test_the_core_restores_code_piece_by_piece(code: bytes, pieces: list[int]) -> None:
    content = CALLS + code
    config = _core.mixture_config(4)
    encoder = _core.MixtureEncoder(config, content, knowledge.load())
    encoder.advance(len(content))
    decoder = _core.MixtureDecoder(config, len(content), encoder.finish(), knowledge.load())
    decoded = b""
    while len(decoded) < len(content):
        decoded += decoder.decode(pieces[len(decoded) % len(pieces)])
    assert targets.pay(content)
    assert decoded == content
