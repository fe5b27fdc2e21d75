"""Observer "access-log": which windows a process handed out, and when.

Each process writes two files of one stem, `window_access_<split>_rank<rank>_<8 hex digits>`:

- `.csv`, or the folder `.parquet` of numbered Parquet files: a line for each window, with the columns `window_idx` (counted
  in its source), `sequence_id`, `sample_id` ("" where the id names none), `window_in_seq_idx` (its start divided by the
  stride), `rank`, `access_ts` (nanoseconds since 1970), `step` (of the optimizer, from 0; empty where it is not known) and
  `row` (of the run). A row of several windows has several lines.
- `.jsonl`: a line that says what is read (`eden_access_log.lines.description`), then a line for each batch: `step`, `time_ns`,
  `rows`, `used` (tokens of each row that are no padding), `waited_ns` (how long the loop waited for it, or null), with several
  sources `sources`, the number of the source of each window, and with `split_windows` `continued`: which of its windows, from
  0, go on from another row, where they have a line already.

Windows are kept back until there are many, or some time has passed; then they are written in one piece, the lines of their
batches before them. `access_ts` is the `time_ns` of the batch. A process that is killed loses what it keeps back, and may leave
the last line cut short.
"""

from eden_core.hookspecs import hookimpl
from eden_core.observing import BatchObserver, Reading

EDEN_INTERFACE = 1


@hookimpl
def eden_batch_read(reading: Reading) -> BatchObserver | None:
    """Keep a log where `log_windows` asks for one."""
    if not reading.log_windows:
        return None
    from eden_access_log.log import AccessLog

    return AccessLog(reading)
