import pickle

import ranks
from access_logs import logs_in


def test_each_rank_keeps_a_log_and_together_they_have_each_row_once(small, tmp_path):
    options = small.options | {"log_windows": True, "log_dir": str(tmp_path / "logs")}
    sent = ranks.run("jobs.logged:read", 2, options=options)
    logs = logs_in(tmp_path / "logs")
    assert [log.name[:-8] for log in logs] == ["window_access_train_rank0_", "window_access_train_rank1_"]
    assert [log.reading["data_parallel_rank"] for log in logs] == [0, 1]
    assert sorted(window["row"] for log in logs for window in log.windows) == list(range(80))
    assert all(window["rank"] == log.reading["rank"] for log in logs for window in log.windows)
    worker = pickle.loads(bytes.fromhex(sent[1]))
    worker.batch([0])
    worker.close()
    assert sum("rank1" in log.name for log in logs_in(tmp_path / "logs")) == 2
