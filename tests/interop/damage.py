"""Writes a damaged copy of an artifact, for the tests of bad input.

Usage: damage.py DAMAGE FROM TO
"""

import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def retype_cost(table: pa.Table) -> pa.Table:
    """Money as floating-point numbers."""
    column = table.column_names.index("total_cost_nano_usd")
    return table.set_column(column, "total_cost_nano_usd", pc.cast(table["total_cost_nano_usd"], pa.float64()))


def drop_success(table: pa.Table) -> pa.Table:
    """Without a required column."""
    return table.drop_columns(["is_success"])


def drop_probes(table: pa.Table) -> pa.Table:
    """Without the always-large episodes of the first task."""
    is_first = pc.equal(pc.cast(table["task_id"], pa.string()), str(table["task_id"][0]))
    is_large = pc.equal(pc.cast(table["policy_id"], pa.string()), "always-large")
    return table.filter(pc.invert(pc.and_(is_first, is_large)))


DAMAGES = {"retype-cost": retype_cost, "drop-success": drop_success, "drop-probes": drop_probes}


def main() -> None:
    damage, source, target = sys.argv[1:]
    table = pq.read_table(source)
    # The plain footer keys; the Arrow schema beside them would describe the columns as they were.
    keys = {key: value for key, value in pq.read_metadata(source).metadata.items() if key != b"ARROW:schema"}
    pq.write_table(DAMAGES[damage](table).replace_schema_metadata(keys), target)


if __name__ == "__main__":
    main()
