"""How much room logs take: from lines a day to volumes, indices and shards. docs/logs.md shows the arithmetic."""

import math
from dataclasses import dataclass
from typing import Final

from infra.settings.logs import OwnLogs

GIB: Final = 2**30
FULL_AT: Final = 0.85
"""Of a volume. Above it a node gets no more shards (cluster.routing.allocation.disk.watermark.low)."""
SHARDS_PER_NODE: Final = 1000
"""The most that Elasticsearch takes (cluster.max_shards_per_node)."""
LARGEST_SHARD_GIB: Final = 20
"""What is larger takes long to copy to a node that is new."""
ROLLOVERS: Final = 10
"""About as many indices does a stream have: fewer would be kept much longer than asked for, more are only overhead."""


@dataclass(frozen=True)
class LogPlan:
    """What an Elasticsearch of one's own must hold. ``streams``: how many data streams there are."""

    asked: OwnLogs
    streams: int

    @property
    def copies(self) -> int:
        """Of every line."""
        return min(self.asked.nodes, 2)

    @property
    def rollover_days(self) -> int:
        """An index is written to for so long; only then do the days begin that it is kept for."""
        return math.ceil(self.asked.retention.days / ROLLOVERS)

    @property
    def rollover_gib(self) -> int:
        """An index of this size is closed before it is so old."""
        return max(1, min(LARGEST_SHARD_GIB, self.asked.volume_gib // ROLLOVERS))

    @property
    def kept_days(self) -> int:
        """The age that the oldest lines reach."""
        return self.asked.retention.days + self.rollover_days

    @property
    def bytes_of_a_copy(self) -> int:
        """All lines, once."""
        kept = self.asked.retention
        return kept.lines_per_day * kept.bytes_per_line * self.kept_days

    @property
    def gib_per_node(self) -> float:
        """On each node, in the end."""
        return self.bytes_of_a_copy * self.copies / self.asked.nodes / GIB

    @property
    def needed_gib(self) -> int:
        """The smallest volume that holds it."""
        return math.ceil(self.gib_per_node / FULL_AT)

    @property
    def indices(self) -> int:
        """At most: by age in each stream, and as many more as are closed for their size."""
        by_age = self.streams * (math.ceil(self.kept_days / self.rollover_days) + 1)
        return by_age + math.ceil(self.bytes_of_a_copy / GIB / self.rollover_gib)

    @property
    def shards(self) -> int:
        """All copies together."""
        return self.indices * self.copies

    @property
    def sum(self) -> str:
        """The arithmetic, for people."""
        kept = self.asked.retention
        return (
            f"{kept.lines_per_day:,} lines a day x {kept.bytes_per_line} bytes x ({kept.days} + {self.rollover_days}) "
            f"days x {counted(self.copies, 'copy', 'copies')} on {counted(self.asked.nodes, 'node', 'nodes')}: "
            f"{self.gib_per_node:.1f} GiB each, and Elasticsearch fills a volume to {FULL_AT:.0%}"
        )


def counted(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many}"
