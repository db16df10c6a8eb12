"""Rotary position embedding (Su and others, 2021) as integers: the part of a turn that each pair takes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

_DIGITS = 60  # a step is below 2^32, so nothing that decides its rounding is lost
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


@dataclass(frozen=True)
class Rope:
    """Pair i turns by ``theta ** (-i / pairs) / divisors[i]`` radians a position."""

    theta: float
    divisors: tuple[Decimal, ...]

    def steps(self) -> list[int]:
        """The same in units of 2^-32 turn, one uint32 a pair, exactly rounded."""
        with localcontext(Context(prec=_DIGITS, rounding=ROUND_HALF_EVEN)):
            turn = Decimal(2**32) / (2 * _PI)
            return [
                int((turn * frequency / divisor).to_integral_value()) % 2**32
                for frequency, divisor in zip(self._frequencies(), self.divisors, strict=True)
            ]

    def _frequencies(self) -> list[Decimal]:
        pairs = len(self.divisors)
        log = Decimal(self.theta).ln()
        return [(-log * i / pairs).exp() for i in range(pairs)]


def plain(theta: float, pairs: int, divisor: float = 1.0) -> Rope:
    """Every pair slowed down by ``divisor``: 1, or the factor of linear scaling."""
    return Rope(theta, (Decimal(divisor),) * pairs)


def llama3(theta: float, pairs: int, *, factor: float, low: float, high: float, trained_context: int) -> Rope:
    """Llama 3.1's scaling: waves that fit ``high`` times into the context stay, those below ``low`` slow."""
    with localcontext(Context(prec=_DIGITS, rounding=ROUND_HALF_EVEN)):
        frequencies = Rope(theta, (Decimal(1),) * pairs)._frequencies()
        divisors = []
        for frequency in frequencies:
            waves = trained_context * frequency / (2 * _PI)
            smooth = (waves - Decimal(low)) / (Decimal(high) - Decimal(low))
            smooth = min(max(smooth, Decimal(0)), Decimal(1))
            divisors.append(1 / ((1 - smooth) / Decimal(factor) + smooth))
    return Rope(theta, tuple(divisors))
