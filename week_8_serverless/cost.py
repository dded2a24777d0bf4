"""What the function costs a month, from measured times and AWS's prices.

python cost.py
python cost.py --measured reports/lambda/cold_start.json --cold-share 0.05 --memory 3008
"""

import argparse
import json
import math
import statistics
from pathlib import Path

from errors import InputError, friendly_errors

# In US dollars, without the free tier, taxes and traffic. Only the price of a request was read on AWS's own page; the
# other two, which that page fills in by a script, are second-hand, from guides to it. All were read in 2026.
PER_REQUEST = 0.20 / 1e6
PER_GB_SECOND = 0.0000166667
PER_HTTP_API_REQUEST = 1.00 / 1e6
PRICES = """prices as read in 2026, us-east-1, x86; those of seconds and of the HTTP API second-hand
today's: aws.amazon.com/lambda/pricing, aws.amazon.com/api-gateway/pricing"""
VOLUMES = (10_000, 1_000_000, 100_000_000)  # requests a month


def billed_gb_seconds(seconds: float, memory_mb: int) -> float:
    """Lambda rounds up to the next millisecond, and a GB is 1,024 MB."""
    return math.ceil(seconds * 1000) / 1000 * memory_mb / 1024


def monthly_cost(requests: int, warm_s: float, cold_s: float, cold_share: float, memory_mb: int) -> dict[str, float]:
    """Dollars by what they are for; a cold start's imports are billed like its request (since August 2025)."""
    cold = requests * cold_share
    compute = (requests - cold) * billed_gb_seconds(warm_s, memory_mb) + cold * billed_gb_seconds(cold_s, memory_mb)
    return {
        "compute": compute * PER_GB_SECOND,
        "requests": requests * PER_REQUEST,
        "HTTP API": requests * PER_HTTP_API_REQUEST,
    }


def read(path: Path) -> tuple[float, float, float]:
    """Seconds of a warm request, of a cold one, and of the imports of the training packages.

    Raises:
        InputError: the file is not there, or was made without the emulator.
    """
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        emulator, imports = measured["emulator"], measured["imports"]["torch + transformers + Lightning"]
        warm, cold, heavy = (statistics.median(v) for v in (emulator["warm_ms"], emulator["first_s"], imports["s"]))
        return warm / 1000, cold, heavy
    except (OSError, ValueError, KeyError, TypeError) as error:
        cure = "measure_cold_start.py --image cola-lambda makes one"
        raise InputError(f"{path}: no figures of the emulator in it ({error!r}): {cure}") from None


@friendly_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    measured = Path("images/cold_start.json")
    parser.add_argument("--measured", type=Path, default=measured, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--cold-share", type=float, default=0.01, metavar="X", help="assumed (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=1769, metavar="MB", help="one whole core (default: %(default)s)")
    arguments = parser.parse_args()
    if not 0 <= arguments.cold_share <= 1 or not 128 <= arguments.memory <= 10_240:
        raise InputError("--cold-share is a number from 0 to 1, --memory one from 128 to 10240")
    warm, cold, heavy = read(arguments.measured)
    print(f"{warm * 1000:.1f} ms warm, {cold:.2f} s cold ({arguments.cold_share:.0%} of them), {arguments.memory:,} MB")
    print(f"{'requests/month':>14}  {'compute':>9}  {'requests':>9}  {'HTTP API':>9}  {'with torch':>10}")
    for requests in VOLUMES:
        cost = monthly_cost(requests, warm, cold, arguments.cold_share, arguments.memory)
        # The same, had each cold start to import torch + transformers + Lightning as well.
        with_torch = monthly_cost(requests, warm, cold + heavy, arguments.cold_share, arguments.memory)
        cells = [f"${value:,.2f}".rjust(9) for value in cost.values()]
        print(f"{requests:>14,}", *cells, f"${with_torch['compute']:,.2f}".rjust(10), sep="  ")
    print(PRICES)


if __name__ == "__main__":
    main()
