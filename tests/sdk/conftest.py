import pathlib
import sys

from served import flights, make_served, mlflow_client, table  # noqa: F401

SDK = pathlib.Path(__file__).resolve().parents[2] / "sdk" / "python" / "src"
sys.path.insert(0, str(SDK))
