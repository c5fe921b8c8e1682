"""DuckDB: the finished file in one query.

Not a stream engine: no verdict until all has come, no windows, no order. It shows what a batch
engine makes of the same question.
"""

import json
import sys
import time

import duckdb

QUERY = """
COPY (
  SELECT payload.orderId,
         CASE WHEN NOT bool_or(event_type = 'PaymentProcessed') THEN 'partial:payment'
              WHEN NOT bool_or(event_type = 'InventoryReserved') THEN 'partial:inventory'
              WHEN abs(max(payload.amount) FILTER (event_type = 'OrderPlaced')
                     - max(payload.amount) FILTER (event_type = 'PaymentProcessed')) > 0.01
              THEN 'mismatched:amount'
              ELSE 'matched' END
  FROM read_json($source, format = 'newline_delimited', columns = {
         event_type: 'VARCHAR', payload: 'STRUCT(orderId VARCHAR, amount DECIMAL(18, 2))'})
  GROUP BY ALL
) TO '{answers}' (HEADER false)
"""


def main() -> None:
    source, answers = sys.argv[1], sys.argv[2]
    begin = time.perf_counter()
    db = duckdb.connect()
    db.execute(QUERY.replace("$source", f"'{source}'").replace("{answers}", answers))
    seconds = time.perf_counter() - begin
    count = db.execute(
        f"SELECT count(*) FROM read_csv('{source}', delim = '\x01', quote = '', "
        "header = false, columns = {line: 'VARCHAR'})"
    ).fetchone()[0]
    print(json.dumps({"events": count, "seconds": seconds}))


if __name__ == "__main__":
    main()
