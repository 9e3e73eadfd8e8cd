"""SQL and objects in a folder, by DuckDB in this process: the engine of the poison test and of the
tests.

It runs the same scripts as the server's warehouse, so what is proved here about the SQL holds
there.
"""

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa


class LocalPlatform:
    def __init__(self, folder, lake=None, threads: int = 2):
        """`lake` is a folder with the CSV files where they do not lie in the example's own;
        ":memory:" keeps nothing.
        """
        self.folder = None if str(folder) == ":memory:" else Path(folder)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.lake = str(lake) if lake else str(self.folder / "lake" / "raw")
        database = ":memory:" if self.folder is None else str(self.folder / "warehouse.duckdb")
        self.engine = duckdb.connect(database)
        self.engine.execute(f"SET threads = {threads}")

    def sql(self, text: str) -> pa.Table:
        result = self.engine.execute(text)
        return result.to_arrow_table() if result.description else pa.table({})

    def create_bucket(self) -> None:
        (self.folder / "lake").mkdir(exist_ok=True)

    def put_file(self, key: str, path, progress=None) -> None:
        shutil.copyfile(path, self.object_uri(key))
        if progress:
            progress(Path(path).stat().st_size)

    def get_object(self, key: str) -> bytes:
        return Path(self.object_uri(key)).read_bytes()

    def object_uri(self, key: str) -> str:
        target = self.folder / "lake" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return str(target)
