"""Pipelines as decorated functions: the same specification as a YAML file gives."""

from __future__ import annotations

import functools
import inspect
import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from ._client import Client, connect, segment
from ._errors import FlowError
from ._package import pack
from ._run import Run

P = ParamSpec("P")
R = TypeVar("R")

#: The output that carries a step's return value.
RESULT = "result.json"

_TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of the pipeline, while its body is read."""

    name: str


@dataclass(frozen=True)
class Result:
    """What a step will return, while the pipeline's body is read."""

    step: str


@dataclass
class _Trace:
    """The steps that the body of a flow called, in order."""

    steps: dict[str, dict[str, Any]] = field(default_factory=dict)


_trace: ContextVar[_Trace | None] = ContextVar("strata_trace", default=None)


def _module_of(function: Callable[..., Any], folder: pathlib.Path | None) -> str:
    """The name under which a step's process imports the module of a function."""
    if function.__module__ != "__main__":
        return function.__module__
    path = pathlib.Path(inspect.getfile(function)).resolve()
    if folder is not None and path.is_relative_to(folder):
        return ".".join(path.relative_to(folder).with_suffix("").parts)
    return path.stem


class Step(Generic[P, R]):
    """A function that runs as a step of pipelines; outside of a flow it is the plain function."""

    def __init__(self, function: Callable[P, R], options: dict[str, Any]) -> None:
        self.function = function
        self.name: str = options.pop("name") or function.__name__.replace("_", "-")
        self._needs: list[Step[Any, Any] | str] = list(options.pop("needs") or [])
        self._outputs: list[str] = list(options.pop("outputs") or [])
        self._options = {k: v for k, v in options.items() if v is not None}
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        trace = _trace.get()
        if trace is None:
            return self.function(*args, **kwargs)
        return cast(R, self._record(trace, args, kwargs))

    def _record(self, trace: _Trace, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.name in trace.steps:
            raise FlowError(
                f"the step '{self.name}' is called twice; give the second one a name: "
                f"step(name=...)({self.function.__name__})"
            )
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as problem:
            raise FlowError(f"step '{self.name}': {problem}") from None
        needs = [need.name if isinstance(need, Step) else need for need in self._needs]
        params: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            params[name] = self._argument(name, value, needs)
        for need in needs:
            if need not in trace.steps:
                raise FlowError(
                    f"step '{self.name}' needs '{need}', which the flow has not called before"
                )
        spec: dict[str, Any] = {"python": self.function, "needs": needs, "params": params}
        spec["outputs"] = [*self._outputs, RESULT]
        trace.steps[self.name] = spec | self._limits()
        return Result(self.name)

    def _argument(self, name: str, value: Any, needs: list[str]) -> Any:
        if isinstance(value, Parameter):
            return "${params.%s}" % value.name
        if isinstance(value, Result):
            if value.step not in needs:
                needs.append(value.step)
            return "${steps.%s.%s}" % (value.step, RESULT)
        if isinstance(value, (list, tuple)):
            return [self._argument(name, item, needs) for item in value]
        if isinstance(value, Mapping):
            return {str(key): self._argument(name, item, needs) for key, item in value.items()}
        if isinstance(value, str):
            return value.replace("${", "$${")
        if value is None or isinstance(value, (bool, int, float)):
            return value
        raise FlowError(
            f"step '{self.name}': argument '{name}' is a {type(value).__name__}; steps are given "
            "JSON values, parameters and results of other steps"
        )

    def _limits(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        resources = {
            key: self._options[key] for key in ("cpu", "memory", "gpu") if key in self._options
        }
        if resources:
            out["resources"] = resources
        for key in ("retries", "timeout", "env"):
            if key in self._options:
                out[key] = self._options[key]
        return out


class Flow(Generic[P]):
    """A pipeline made of steps; see :func:`flow`."""

    def __init__(self, function: Callable[P, Any], options: dict[str, Any]) -> None:
        self.function = function
        self.name: str = options["name"] or function.__name__.replace("_", "-")
        self._options = options
        functools.update_wrapper(self, function)

    @property
    def source(self) -> pathlib.Path:
        """The folder that is packed for the steps."""
        given = self._options["source"]
        here = pathlib.Path(inspect.getfile(self.function)).resolve().parent
        return here if given is None else (here / given).resolve()

    def spec(self) -> dict[str, Any]:
        """The pipeline as the server reads it, without its package."""
        parameters = self._parameters()
        trace = _Trace()
        mark = _trace.set(trace)
        try:
            body: Callable[..., Any] = self.function
            body(**{name: Parameter(name) for name in parameters})
        finally:
            _trace.reset(mark)
        if not trace.steps:
            raise FlowError(f"the flow '{self.name}' calls no step")
        for step_spec in trace.steps.values():
            function = step_spec["python"]
            step_spec["python"] = f"{_module_of(function, self.source)}:{function.__qualname__}"
        triggers: list[dict[str, str]] = []
        if self._options["cron"]:
            triggers.append({"cron": self._options["cron"], "timezone": self._options["timezone"]})
        triggers += [dict(trigger) for trigger in self._options["on"]]
        return {
            "name": self.name,
            "description": self._options["description"] or inspect.getdoc(self.function) or "",
            "interpreter": self._options["interpreter"] or sys.executable,
            "parameters": parameters,
            "env": dict(self._options["env"]),
            "max_concurrent_runs": self._options["max_concurrent_runs"],
            "priority": self._options["priority"],
            "steps": trace.steps,
            "triggers": triggers,
        }

    def _parameters(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        hints = inspect.get_annotations(self.function, eval_str=True)
        for name, parameter in inspect.signature(self.function).parameters.items():
            default = parameter.default
            kind = hints.get(name, type(default) if default is not parameter.empty else str)
            if kind not in _TYPES:
                raise FlowError(
                    f"parameter '{name}' of flow '{self.name}' must be "
                    f"str, int, float or bool, not {kind}"
                )
            entry: dict[str, Any] = {"type": _TYPES[kind]}
            if default is not parameter.empty:
                entry["default"] = default
            out[name] = entry
        return out

    def apply(self, *, client: Client | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Sends the pipeline with its source folder; the server's description of it.

        An unchanged one keeps its version.
        """
        client = client or connect()
        spec = self.spec()
        content, _ = client.request(
            "POST",
            "/api/v1/flow-packages",
            body=pack(self.source),
            content_type="application/x-tar",
        )
        spec["package"] = json.loads(content)["package"]
        query = {"dry_run": "true"} if dry_run else None
        answer: dict[str, Any] = client.json(
            "PUT", f"/api/v1/flows/{segment(self.name)}", spec, query=query
        )
        return answer

    def run(self, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Applies the pipeline and runs it with these parameters; does not wait."""
        bound = inspect.signature(self.function).bind_partial(*args, **kwargs)
        client = connect()
        self.apply(client=client)
        body = {"params": dict(bound.arguments)}
        return Run(client, client.json("POST", f"/api/v1/flows/{segment(self.name)}/runs", body))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Runs all steps here, one after the other, in this process: for trying out."""
        return self.function(*args, **kwargs)


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    needs: Sequence[Step[Any, Any] | str] | None = None,
    outputs: Sequence[str] | None = None,
    retries: int | Mapping[str, Any] | None = None,
    timeout: str | int | None = None,
    cpu: float | None = None,
    memory: str | int | None = None,
    gpu: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a step of pipelines.

    needs: steps that must have succeeded before, beside those whose results are arguments.
    outputs: files that the step writes with :func:`strata.output`. retries: repetitions after the
    first attempt, or a mapping with count, backoff, factor, max, jitter. timeout: "10m".
    cpu: cores. memory: "1GiB". gpu: whole devices.
    """
    known = ("name", "needs", "outputs", "retries", "timeout", "cpu", "memory", "gpu", "env")
    for key in options:
        if key not in known:
            raise TypeError(f"step() has no option '{key}'; known are {', '.join(known)}")
    given = {key: options.get(key) for key in known}
    if function is not None:
        return Step(function, given)
    return lambda inner: Step(inner, given)


@overload
def flow(function: Callable[P, Any], /) -> Flow[P]: ...
@overload
def flow(
    *,
    name: str | None = None,
    description: str = "",
    cron: str | None = None,
    timezone: str = "UTC",
    on: Sequence[Mapping[str, str]] = (),
    env: Mapping[str, str] | None = None,
    max_concurrent_runs: int = 16,
    priority: int = 0,
    source: str | None = None,
    interpreter: str | None = None,
) -> Callable[[Callable[P, Any]], Flow[P]]: ...
def flow(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes a function a pipeline: its body calls steps, its parameters are the pipeline's.

    cron and timezone: when it runs by itself. on: other triggers, such as
    ``{"event": "object.created", "bucket": "raw", "prefix": "flights/"}``. source: the folder
    that is packed, beside the function's file. interpreter: the Python that runs the steps (this
    one unless named).
    """
    defaults: dict[str, Any] = {
        "name": None, "description": "", "cron": None, "timezone": "UTC", "on": (), "env": {},
        "max_concurrent_runs": 16, "priority": 0, "source": None, "interpreter": None,
    }  # fmt: skip
    for key in options:
        if key not in defaults:
            raise TypeError(f"flow() has no option '{key}'; known are {', '.join(defaults)}")
    given = defaults | {key: value for key, value in options.items() if value is not None}
    if function is not None:
        return Flow(function, given)
    return lambda inner: Flow(inner, given)
