"""Specs of slices, and what TensorFlow 2.21 does with them: tests/tensorflow asks it again."""

from __future__ import annotations

TAKEN = [
    "4 4 0,2:-",
    "4 4 +0,2:-",
    "4 4 -0,2:-",
    "4 4 00,02:-",
    "04 +4 0,2:-",
    "4 4 \t0,2\t:-",
    "4 4 \v0,2:-",
    "\t4\n 4 0,2:-",
    "4 4 0,2:-:",
    "4 4 ::0,2::-",
    "4 4 ,0,,2,:-",
]
"""All of them the first two rows of a 4x4 matrix."""

REFUSED = [
    "",
    " ",
    "-",
    "0,2:-",
    "4 4",
    "4 4 ",
    "4 :",
    "4 4 0,2",
    "4 4 0,2:-:-",
    "4  4 0,2:-",
    " 4 4 0,2:-",
    "4 4 0,2:- ",
    "4 4\t0,2:-",
    "4 4 0,2:-\n",
    "4 4 0, 2:-",
    "4 4 + 0,2:-",
    "4 4 +-0,2:-",
    "4 4 --:-",
    "4 4 0,2:-,-",
    "4 4 0,0:-",
    "4 4 -1,2:-",
    "4 4 0,-2:-",
    "4 4 3,2:-",
    "4 4 5,1:-",
    "4 0 0,2:0,1",
    "4 4 0,9223372036854775807:-",
    "4 4 0,9223372036854775808:-",
    "4 4 0x0,2:-",
    "4_0 4 0,2:-",
    "4 x 0,2:-",
    "4 4 \N{ARABIC-INDIC DIGIT THREE},2:-",
    "4 4 \N{NO-BREAK SPACE}0,2:-",
    "4 4 0,2\0:-",
]

CRASHES = [
    "-4 4 0,2:-",
    "4 4 1,9223372036854775807:-",
    "9999999999 9999999999 0,2:-",
    "1 " * 255 + "-:" * 255,
]
"""What ends TensorFlow's process, so that no test can ask it again."""


def refused() -> list[str]:
    """What is an error with us."""
    return REFUSED + CRASHES
