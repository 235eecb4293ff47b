"""A simulated city: months of taxi trips for when there is no network, dirty rows included.

The city has 263 zones on a map, an airport with a flat fare, rush hours that slow the traffic, and
a meter whose tariff rises in December 2022. A month is the same trips on every machine. Nothing
here is fitted to real trips, and each file says in its own metadata that it is simulated.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Columns = dict[str, NDArray[Any]]

__all__ = ["CITY_VERSION", "TARIFF_CHANGE", "make_month", "write_month"]

#: Rises when the city changes, so that no cache mixes two of them.
CITY_VERSION = 1

#: The first month of the new tariff.
TARIFF_CHANGE = "2022-12"

ZONES = 263
AIRPORT = 132
SEED = 20221201


class Tariff(NamedTuple):
    """What the meter charges, in dollars.

    Attributes:
        start: When the meter is switched on.
        mile: Per mile.
        slow_minute: Per minute of standing or crawling.
        airport: Flat fare between the airport and the centre.
    """

    start: float
    mile: float
    slow_minute: float
    airport: float


OLD_TARIFF = Tariff(start=2.5, mile=2.5, slow_minute=0.5, airport=52.0)
NEW_TARIFF = Tariff(start=3.0, mile=3.5, slow_minute=0.7, airport=70.0)


def write_month(month: str, path: Path) -> None:
    """Write a month's file; it has its name only once it is whole, whoever else writes it too."""
    import os
    from pathlib import Path
    from tempfile import mkstemp

    from pyarrow import parquet

    number, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(number)
    part = Path(name)
    try:
        parquet.write_table(make_month(month), part, compression="zstd")
        part.chmod(0o644)  # A temporary file is private; this one is not.
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def make_month(month: str) -> pa.Table:
    """Make the trips of a month such as ``"2022-01"``, in TLC's columns, ordered by pickup.

    About 33,000 to 38,000 trips, of which about 7 % are dirty: refunds with a fare below 0, trips
    that never moved or whose meter ran for a day, clocks of other years, one absurd fare a month,
    and unknown passenger counts.
    """
    import numpy as np

    year, number = (int(part) for part in month.split("-"))
    random = np.random.Generator(np.random.PCG64([SEED, year, number]))
    count = 33_000 + int(random.integers(5000))
    tariff = NEW_TARIFF if month >= TARIFF_CHANGE else OLD_TARIFF

    pickup = _pickup_times(random, year, number, count)
    hour = (pickup % 86_400) // 3600
    weekday = (pickup // 86_400 + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0.
    start, end, air_miles = _places(random, count)
    is_rush = (weekday < 5) & (((hour >= 7) & (hour < 10)) | ((hour >= 16) & (hour < 19)))  # noqa: PLR2004
    miles = np.round(np.maximum(air_miles * random.lognormal(0.25, 0.12, count), 0.2), 2)
    pace = np.where(is_rush, 5.6, np.where((hour < 6) | (hour > 21), 3.0, 4.2))  # noqa: PLR2004
    minutes = miles * pace * random.lognormal(0.0, 0.25, count) + random.exponential(1.5, count)
    slow = np.maximum(minutes - miles * 2.6, 0) * 0.55
    fare = tariff.start + tariff.mile * miles + tariff.slow_minute * slow
    is_flat = ((start == AIRPORT) ^ (end == AIRPORT)) & (miles > 8)  # noqa: PLR2004
    fare = np.where(is_flat, tariff.airport, fare)
    # Some fares are agreed on with the driver; nothing recorded explains them.
    is_agreed = random.random(count) < 0.06  # noqa: PLR2004
    fare = np.where(is_agreed, np.round(fare * random.lognormal(0.2, 0.5, count)), fare)
    fare = np.where(is_flat | is_agreed, fare, np.round(fare * 2) / 2)
    trips: Columns = {
        "pickup": pickup,
        "dropoff": pickup + np.maximum(np.round(minutes * 60), 1).astype(np.int64),
        "start": start,
        "end": end,
        "miles": miles,
        "fare": fare,
        "rush": np.where(is_rush, 1.0, 0.0),
        "passengers": random.choice([1.0, 2.0, 3.0, 5.0], p=[0.82, 0.11, 0.04, 0.03], size=count),
    }
    _soil(random, trips)
    order = np.argsort(trips["pickup"], kind="stable")
    return _table({name: column[order] for name, column in trips.items()})


def _pickup_times(random: np.random.Generator, year: int, month: int, count: int) -> Ints:
    """Draw pickups over the month in Unix seconds of the city's clock, busier by day."""
    import numpy as np

    first = np.datetime64(datetime(year, month, 1), "s").astype(np.int64)  # noqa: DTZ001
    after = datetime(year + month // 12, month % 12 + 1, 1)  # noqa: DTZ001 - the city's clock
    days = int((np.datetime64(after, "s").astype(np.int64) - first) // 86_400)
    busy = np.array(
        [4, 3, 2, 2, 2, 3, 6, 9, 11, 10, 9, 9, 10, 10, 11, 13, 14, 15, 14, 12, 10, 9, 7, 5]
    )
    hour = random.choice(24, p=busy / busy.sum(), size=count)
    day = random.integers(days, size=count)
    return np.asarray(first + day * 86_400 + hour * 3600 + random.integers(3600, size=count))


def _places(random: np.random.Generator, count: int) -> tuple[Ints, Ints, Floats]:
    """Draw pickup and drop-off zones and the miles between them as the crow flies."""
    import numpy as np

    city = np.random.Generator(np.random.PCG64(SEED))  # The map is the same in every month.
    where = city.uniform([0, 0], [6, 8], size=(ZONES, 2))
    where[AIRPORT - 1] = (12.0, -3.0)
    liked = city.pareto(1.2, ZONES) + 0.02
    start = random.choice(ZONES, p=liked / liked.sum(), size=count)
    # Most rides are short: of a few candidates the nearest is the likeliest.
    options = random.choice(ZONES, p=liked / liked.sum(), size=(count, 4))
    apart = np.hypot(*np.moveaxis(where[options] - where[start][:, None], -1, 0))
    chosen = np.argmin(apart * random.exponential(1.0, apart.shape), axis=1)
    end = options[np.arange(count), chosen]
    trips = random.random(count)
    start = np.where(trips < 0.015, AIRPORT - 1, start)  # noqa: PLR2004 - 1.5 % from the airport,
    end = np.where(trips > 0.98, AIRPORT - 1, end)  # noqa: PLR2004 - 2 % to it
    air = np.hypot(*np.moveaxis(where[end] - where[start], -1, 0))
    return start + 1, end + 1, air


def _soil(random: np.random.Generator, trips: Columns) -> None:
    """Put in the mistakes that real records have, in place."""
    import numpy as np

    count = len(trips["fare"])

    def some(part: float) -> NDArray[np.bool_]:
        return np.asarray(random.random(count) < part)

    trips["fare"][some(0.004)] *= -1  # Refunds.
    trips["fare"][int(random.integers(count))] = 429_490.0  # A meter once claimed this.
    trips["miles"][some(0.035)] = 0.0
    trips["miles"][some(0.0003)] = 68_000.0
    forgotten = some(0.006)  # The meter was switched off a day later, or at once.
    late = random.choice([86_340, 0, 12], size=int(forgotten.sum()))
    trips["dropoff"][forgotten] = trips["pickup"][forgotten] + late
    stray = some(0.0004)  # A clock that stands at another year.
    trips["pickup"][stray] -= 4000 * 86_400
    trips["dropoff"][stray] -= 4000 * 86_400
    trips["passengers"][some(0.1)] = np.nan


def _table(trips: Columns) -> pa.Table:
    """Put the columns together as TLC does, and say that they are simulated."""
    import numpy as np
    import pyarrow as pa

    from loopline.demo.data_source import SIMULATED_KEY

    fare, count = trips["fare"], len(trips["fare"])
    known = ~np.isnan(trips["passengers"])
    ones = np.where(known, 1.0, np.nan)
    time = pa.timestamp("us")
    surcharge = np.where(known, 0.3, 1.0)
    tax = np.where(fare > 0, 0.5, -0.5)
    columns = {
        "VendorID": pa.array(np.where(trips["start"] % 3, 2, 1)),
        "lpep_pickup_datetime": pa.array(trips["pickup"] * 1_000_000, time),
        "lpep_dropoff_datetime": pa.array(trips["dropoff"] * 1_000_000, time),
        "store_and_fwd_flag": pa.array(np.full(count, "N"), mask=~known),
        "RatecodeID": _floats(ones),
        "PULocationID": pa.array(trips["start"]),
        "DOLocationID": pa.array(trips["end"]),
        "passenger_count": _floats(trips["passengers"]),
        "trip_distance": pa.array(trips["miles"]),
        "fare_amount": pa.array(fare),
        "extra": pa.array(trips["rush"]),
        "mta_tax": pa.array(tax),
        "tip_amount": pa.array(np.zeros(count)),
        "tolls_amount": pa.array(np.zeros(count)),
        "ehail_fee": pa.nulls(count),
        "improvement_surcharge": pa.array(surcharge),
        "total_amount": pa.array(fare + trips["rush"] + tax + surcharge),
        "payment_type": _floats(ones),
        "trip_type": _floats(ones),
        "congestion_surcharge": _floats(ones * 0),
    }
    return pa.table(columns).replace_schema_metadata({SIMULATED_KEY: b"a made-up city"})


def _floats(values: Floats) -> pa.Array:
    """Make a column in which what is not a number is null."""
    import pyarrow as pa

    return pa.array(values, from_pandas=True)
