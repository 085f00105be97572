"""Reads every file of a run with DuckDB and pyarrow, joins them, and compares the figures with summary.json.

Usage: check_run.py TASKS RUN_DIR
Exit code 0 when both readers see what the contract promises; otherwise an AssertionError says what differs.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

SLOT_OF = {
    "episodes": "simulate",
    "steps": "simulate",
    "boundary_labels": "classify",
    "sft_examples": "synthesize",
    "training_log": "optimize",
    "evaluations": "evaluate",
    "frontier": "evaluate",
}


def value(db: duckdb.DuckDBPyConnection, query: str) -> object:
    """The one value that a query answers."""
    return db.execute(query).fetchall()[0][0]


def paths(tasks: Path, run_dir: Path) -> dict[str, Path]:
    """Path of each artifact by its kind."""
    found = {"tasks": tasks}
    for kind, slot in SLOT_OF.items():
        found[kind] = run_dir / slot / f"{kind}.parquet"
    # Episodes that the page shows step by step.
    for path in sorted(run_dir.glob("*/*.parquet")):
        found.setdefault(path.stem, path)
    return found


def check_readers_agree(db: duckdb.DuckDBPyConnection, kind: str, path: Path) -> None:
    """Both readers see the same rows, columns and footer keys."""
    table = pq.read_table(path)
    columns = [row[0] for row in db.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()]
    assert columns == table.column_names, f"{kind}: columns {columns} and {table.column_names}"
    rows = value(db, f"SELECT count(*) FROM '{path}'")
    assert rows == table.num_rows > 0, f"{kind}: {rows} and {table.num_rows} rows"
    keys = dict(db.execute(f"SELECT decode(key), decode(value) FROM parquet_kv_metadata('{path}')").fetchall())
    footer = {key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items()}
    ours = {key: value for key, value in keys.items() if key.startswith("tollgate")}
    assert ours and all(footer[key] == value for key, value in ours.items()), f"{kind}: footer keys {keys}"
    assert kind in ours.values(), f"{kind}: not named in the footer keys {ours}"


def check_totals(db: duckdb.DuckDBPyConnection) -> None:
    """Each episode's totals are the sums of its steps, and every key joins."""
    differing = value(db, """
        SELECT count(*) FROM episodes e LEFT JOIN (
            SELECT episode_id, count(*) AS n, sum(cost_nano_usd) AS cost, min(step_idx) AS first, max(step_idx) AS last
            FROM steps GROUP BY episode_id) s USING (episode_id)
        WHERE e.n_steps IS DISTINCT FROM s.n OR e.total_cost_nano_usd IS DISTINCT FROM s.cost OR s.first != 0 OR s.last != s.n - 1
    """)
    assert differing == 0, f"{differing} episodes differ from their steps"
    for kind in ("episodes", "boundary_labels", "sft_examples", "evaluations"):
        strangers = value(db, f"SELECT count(*) FROM {kind} ANTI JOIN tasks USING (task_id)")
        assert strangers == 0, f"{strangers} rows of {kind} are of unknown tasks"
    lost = value(db, "SELECT count(*) FROM sft_examples ANTI JOIN steps USING (episode_id, step_idx)")
    assert lost == 0, f"{lost} sft_examples have no step"


def check_labels(db: duckdb.DuckDBPyConnection) -> None:
    """The labels' counts are those of the boundary probes."""
    differing = value(db, """
        SELECT count(*) FROM boundary_labels l JOIN (
            SELECT task_id,
                count(*) FILTER (policy_id = 'always-small') AS small, count(*) FILTER (policy_id = 'always-large') AS large,
                count(*) FILTER (policy_id = 'always-small' AND is_success) AS small_ok,
                count(*) FILTER (policy_id = 'always-large' AND is_success) AS large_ok
            FROM episodes GROUP BY task_id) e USING (task_id)
        WHERE (small, large, small_ok, large_ok)
            IS DISTINCT FROM (small_episodes, large_episodes, small_successes, large_successes)
    """)
    assert differing == 0, f"{differing} labels differ from their probes"


def check_summary(db: duckdb.DuckDBPyConnection, summary: dict) -> int:
    """The page's figures are those of the evaluated episodes; returns how many rows were compared."""
    n_violations = value(db, "SELECT count(*) FROM evaluations WHERE is_violation")
    assert n_violations == 0, f"{n_violations} violations"
    for policy in summary["policies"]:
        where = "split = 'test' AND policy_id = ? AND budget_kind = ? AND budget_value IS NOT DISTINCT FROM ?"
        parameters = [policy["policy_id"], policy["budget_kind"], policy["budget_value"]]
        if policy["lambda"] is not None:
            where += " AND abs(\"lambda\" - ?) < 1e-6"
            parameters.append(policy["lambda"])
        # The mean over tasks of the mean over a task's episodes: every task counts the same.
        found = db.execute(
            f"""SELECT sum(n), avg(success), avg(cost), avg(large), sum(violations)::BIGINT FROM (
                SELECT task_id, count(*) AS n, avg(is_success::INT) AS success, avg(total_cost_nano_usd) / 1e9 AS cost,
                    avg(n_large_calls) AS large, sum(is_violation::INT) AS violations
                FROM evaluations WHERE {where} GROUP BY task_id)""",
            parameters,
        ).fetchall()[0]
        expected = [
            policy[key] for key in ("n_episodes", "success_rate", "mean_cost_usd", "mean_large_calls", "violations")
        ]
        same = all(abs(a - b) <= 1e-9 + 1e-6 * abs(b) for a, b in zip(found, expected, strict=True))
        assert same, f"{parameters}: evaluations say {found}, summary.json says {expected}"
        assert policy["success_rate_low"] <= policy["success_rate"] <= policy["success_rate_high"], policy
    return len(summary["policies"])


def main() -> None:
    tasks, run_dir = (Path(argument) for argument in sys.argv[1:])
    db = duckdb.connect()
    found = paths(tasks, run_dir)
    for kind, path in found.items():
        check_readers_agree(db, kind, path)
        db.execute(f"CREATE VIEW {kind} AS SELECT * FROM '{path}'")
    check_totals(db)
    check_labels(db)
    summary = json.loads((run_dir / "report" / "summary.json").read_text())
    n_policies = check_summary(db, summary)
    print(f"{len(found)} files read by DuckDB {duckdb.__version__} and pyarrow; {n_policies} rows of summary.json agree")


if __name__ == "__main__":
    main()
