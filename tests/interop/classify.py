"""A replacement for the stage `classify`, in Python: reads the request, writes boundary_labels.parquet.

Usage: classify.py --request REQUEST
Only the required columns; a task is easy when always-small solves at least `easy_success_rate` of its probes.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

QUERY = """
    SELECT task_id,
        CASE WHEN small_successes >= $1 * small_episodes THEN 'easy'
            WHEN small_successes + large_successes > 0 THEN 'hard' ELSE 'intractable' END AS difficulty,
        FALSE AS is_contested, small_successes, small_episodes, large_successes, large_episodes,
        small_cost // small_episodes AS small_mean_cost_nano_usd, large_cost // large_episodes AS large_mean_cost_nano_usd
    FROM (
        SELECT task_id,
            count(*) FILTER (is_success AND policy_id = 'always-small')::INT AS small_successes,
            count(*) FILTER (policy_id = 'always-small')::INT AS small_episodes,
            count(*) FILTER (is_success AND policy_id = 'always-large')::INT AS large_successes,
            count(*) FILTER (policy_id = 'always-large')::INT AS large_episodes,
            (sum(total_cost_nano_usd) FILTER (policy_id = 'always-small'))::BIGINT AS small_cost,
            (sum(total_cost_nano_usd) FILTER (policy_id = 'always-large'))::BIGINT AS large_cost
        FROM episodes GROUP BY task_id)
    ORDER BY task_id
"""


def main() -> None:
    request = json.loads(Path(sys.argv[sys.argv.index("--request") + 1]).read_text())
    easy_success_rate = request["config"]["stage"]["easy_success_rate"]
    episodes = next(item["path"] for item in request["inputs"] if item["kind"] == "episodes")
    db = duckdb.connect()
    db.execute(f"CREATE VIEW episodes AS SELECT * FROM '{episodes}'")
    rows = db.execute(QUERY, [easy_success_rate])
    names = [column[0] for column in rows.description]
    columns = dict(zip(names, zip(*rows.fetchall(), strict=True), strict=True))
    ints = {name: pa.int32() for name in names if name.endswith(("_successes", "_episodes"))}
    table = pa.table({name: pa.array(column, ints.get(name)) for name, column in columns.items()})
    keys = {"tollgate.kind": "boundary_labels", "tollgate.contract_version": str(request["contract_version"])}
    table = table.replace_schema_metadata(keys)
    pq.write_table(table, Path(request["output_dir"]) / "boundary_labels.parquet")
    print(f"labelled {table.num_rows} tasks", file=sys.stderr)


if __name__ == "__main__":
    main()
