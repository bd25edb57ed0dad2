"""Asserts that two measurements of the same pair of models agree: exit code 0 if they do, 1 if not.

    compare.py INDEPENDENT.json KARAT.json [--max-ratio 1.03]

The first is what verify_w8a8.py printed, the second what `karat verify --json` wrote. Perplexities
may differ by 0.1% and the mean KL divergence by 2%, never the number of tokens.

The two add floats in another order, which turns some activations over a rounding edge. Where every
layer is quantized, each such turn causes others in the layers above, and what comes out differs by
chance from one right computation to the next. How much is measured, not assumed: verify_w8a8.py
computes the candidate with floats of 32 and of 64 bits, and gives the standard error of the mean
difference of their losses, and of their divergences. Where three of these are more than 0.1%, or 2% of
the divergence, they are what the two may differ by. With --max-ratio the independent ratio of
perplexities is asserted too.
"""

import argparse
import json
import sys
from pathlib import Path

STANDARD_ERRORS = 3  # of the difference by rounding alone
TOLERANCES = {  # relative
    ("tokens",): 0.0,
    ("perplexity", "reference"): 0.001,
    ("perplexity", "candidate"): 0.001,
    ("perplexity", "ratio"): 0.001,
    ("kld", "mean"): 0.02,
}
SHOWN = [("kld", name) for name in ("stderr", "median", "p90", "p99", "p999", "max")] + [("top1_agreement",)]


def field(measurement: dict, path: tuple[str, ...]) -> float:
    for key in path:
        measurement = measurement[key]
    return float(measurement)


def allowances(independent: dict) -> dict:
    """What each figure may differ by, relative."""
    loss, divergence = (
        STANDARD_ERRORS * field(independent, ("rounding_noise", name, "stderr")) for name in ("loss", "kld")
    )
    chance = {  # a difference of mean losses is a relative one of perplexities
        ("perplexity", "candidate"): loss,
        ("perplexity", "ratio"): loss,
        ("kld", "mean"): divergence / field(independent, ("kld", "mean")),
    }
    return {path: max(tolerance, chance.get(path, 0)) for path, tolerance in TOLERANCES.items()}


def agree(independent: dict, karat: dict) -> bool:
    """Prints both side by side."""
    everywhere = True
    allowed = allowances(independent)
    print(f"{'':24}{'independent':>14}{'karat':>14}{'apart':>10}{'allowed':>10}")
    for path in [*TOLERANCES, *SHOWN]:
        expected, found = field(independent, path), field(karat, path)
        apart = abs(found - expected) / abs(expected) if expected else abs(found)
        row = f"{' '.join(path):24}{expected:14.6g}{found:14.6g}{apart:10.3%}"
        if path in allowed:
            within = apart <= allowed[path]  # false for a NaN too
            everywhere = everywhere and within
            row += f"{allowed[path]:10.2%}{'' if within else '  apart'}"
        print(row)
    print("PASS: the two agree." if everywhere else "FAIL: the two do not agree.")
    return everywhere


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("independent", type=Path)
    parser.add_argument("karat", type=Path)
    parser.add_argument("--max-ratio", type=float, help="perplexity allowed, candidate over reference")
    options = parser.parse_args()
    independent, karat = (json.loads(path.read_text()) for path in (options.independent, options.karat))
    passed = agree(independent, karat)
    if options.max_ratio is not None:
        ratio = field(independent, ("perplexity", "ratio"))
        within = ratio <= options.max_ratio
        print(f"{'PASS' if within else 'FAIL'}: perplexity is {ratio:.4f} times the reference's; {options.max_ratio} is allowed.")
        passed = passed and within
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
