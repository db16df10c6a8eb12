"""Sizes and times as people write and read them."""

import pytest

from nczip.cli import units


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("4096", 4096),
        ("96M", 96 << 20),
        ("96m", 96 << 20),
        ("1.5GiB", 3 << 29),
        ("2 KB", 2048),
        ("1T", 1 << 40),
        ("512B", 512),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "1X", "1 000", "0", "0.1", "1e6", "0x10", "1MM"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (10235, "10.0 KiB"),
        (102399, "100 KiB"),
        (1023 * 1024 + 512, "1.00 MiB"),
        (1 << 20, "1.00 MiB"),
        (3 << 40, "3.00 TiB"),
        (5000 << 40, "5000 TiB"),
    ],
)
def test_a_size_is_written_with_three_digits(count: int, text: str) -> None:
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_a_time_left(seconds: float, text: str) -> None:
    assert units.clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2, "5 s"), (22, "20 s"), (91, "2 min"), (89 * 60, "89 min"), (7800, "2 h 10 min"), (86400, "24 h")],
)
def test_an_estimate_is_no_more_exact_than_it_is(seconds: float, text: str) -> None:
    assert units.about(seconds) == text
