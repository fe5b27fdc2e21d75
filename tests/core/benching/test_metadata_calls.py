from eden_core.benching.metadata_calls import counted

LINES = """\
10 openat(AT_FDCWD</home>, "/lib/libc.so.6", O_RDONLY) = 3</lib/libc.so.6>
10 newfstatat(AT_FDCWD</home>, "/data/train_windows.db", {st_mode=S_IFREG}, 0) = 0
10 newfstatat(4</data/train_windows.db>, "", {st_mode=S_IFREG}, AT_EMPTY_PATH) = 0
10 openat(AT_FDCWD</home>, "/database/x", O_RDONLY) = 3</database/x>
21 openat(AT_FDCWD</home>, "/data/s1/glm_dataset_s1.sqlite", O_RDONLY <unfinished ...>
22 getdents64(5</data>, 0x55 /* 13 entries */, 32768) = 432
21 <... openat resumed>)                   = 6</data/s1/glm_dataset_s1.sqlite>
30 openat(AT_FDCWD</home>, "/data/s1", O_RDONLY|O_DIRECTORY) = 5</data/s1>
10 access("/eden-bench/first-batch", F_OK) = -1 ENOENT (No such file or directory)
21 openat(AT_FDCWD</home>, "/data/s2/glm_dataset_s2.sqlite", O_RDONLY) = 6</data/s2/glm_dataset_s2.sqlite>
"""


def test_calls_on_the_data_before_the_first_batch_are_counted_by_process():
    found = counted(LINES.splitlines(), ["/data", "/data/train_windows.db"], {"trainer": [10], "worker": [21, 22]})
    assert found == {"trainer": {"newfstatat": 1}, "worker": {"getdents64": 1, "openat": 1}}


def test_without_workers_there_is_nothing_of_them():
    assert list(counted(LINES.splitlines(), ["/data"], {"trainer": [10], "worker": []})) == ["trainer"]
