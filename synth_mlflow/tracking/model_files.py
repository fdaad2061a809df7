"""The files of a saved model: MLflow's flavour, a signature from all rows, and a loader that takes raw columns."""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.lightgbm
import mlflow.sklearn
import pandas as pd
from mlflow.models import Model, ModelSignature, infer_signature
from mlflow.types.schema import AnyType, ColSpec, Schema
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from synth_mlflow.data import conversation_text, json_text, value_formats
from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.text_forms import PLAIN, Form
from synth_mlflow.models import raw_columns, raw_command, raw_embedding, raw_estimator, raw_values
from synth_mlflow.models.base import Model as FittedModel
from synth_mlflow.models.estimator import EstimatorModel
from synth_mlflow.models.lightgbm import BoostedModel
from synth_mlflow.models.raw_columns import RawColumn, RawColumns, RawEstimator
from synth_mlflow.models.raw_embedding import MODULE

TRAVELLING = (
    conversation_text,
    json_text,
    raw_columns,
    raw_command,
    raw_embedding,
    raw_estimator,
    raw_values,
    value_formats,
)
PACKAGE = "raw_model"  # the folder that they travel in, each in a folder as here
LOADER = f"{PACKAGE}.models.raw_columns"
LIGHTGBM, SKOPS, CLOUDPICKLE = "lightgbm", "skops", "cloudpickle"
KNOWN_TYPES = frozenset({"sklearn", "numpy", "scipy", "xgboost", "lightgbm", "collections.OrderedDict"})
"""Libraries whose types a file of skops may name: to build them runs no code that the file brings."""
EXAMPLE_ROWS = 5  # predicted on, for the signature of the output
RAW = "raw"


def save_model(
    model: FittedModel, features: pd.DataFrame, folder: Path, meta: Model, forms: Mapping[str, Form] | None = None
) -> str:
    """Write a fitted model as MLflow keeps models; it can be served without this package.

    Parameters
    ----------
    model : Model
        LightGBM is written as its own text, a scikit-learn pipeline by skops, one with code of its own by cloudpickle.
    features : DataFrame
        The features of all real training rows.
    folder : Path
        Does not exist yet.
    meta : Model
        MLflow's description of the model, which is completed.
    forms : mapping, optional
        How columns are written outside the product, as far as it is no plain way; the model reads it.

    Returns
    -------
    str
        The format: ``lightgbm``, ``skops`` or ``cloudpickle``; only the last one runs code when it is loaded.
    """
    if isinstance(model, BoostedModel):
        return _save_boosted(model, features, folder, meta, forms or {})
    if isinstance(model, EstimatorModel):
        return _save_estimator(model, features, folder, meta, forms or {})
    raise TypeError(f"a {type(model).__name__} cannot be kept")


def signature_of(columns: RawColumns, output: pd.DataFrame) -> ModelSignature:
    """Every column under its name, of any type, and optional where it is missing in some training rows.

    MLflow has no type that takes a number with and without gaps, or a date as text and as date; the loader reads
    the values and refuses what it cannot read.
    """
    anything: Any = AnyType  # MLflow gives it no types
    inputs = Schema([ColSpec(anything(), column.name, required=not column.optional) for column in columns])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer")  # labels are never missing
        return ModelSignature(inputs, infer_signature(None, output).outputs)


def _save_boosted(
    model: BoostedModel, features: pd.DataFrame, folder: Path, meta: Model, forms: Mapping[str, Form]
) -> str:
    predictor = replace(model.predictor, columns=as_given(model.predictor.columns, features, forms))
    with travelling_code() as code:
        mlflow.lightgbm.save_model(
            predictor.booster,
            folder,
            mlflow_model=meta,
            signature=signature_of(predictor.columns, predictor.predict(features.head(EXAMPLE_ROWS))),
            pip_requirements=requirements(["lightgbm", "pandas", "numpy"]),
            code_paths=[code],
        )
    predictor.save(folder / RAW)
    for path in (folder / meta.flavors["lightgbm"]["data"], folder / RAW / raw_columns.MODEL_FILE):
        _without_ranges(path)
    _load_with(meta, folder)
    return LIGHTGBM


def _without_ranges(path: Path) -> None:
    """A text model without the least and greatest value of each feature, which LightGBM writes and never reads."""
    text = path.read_text(encoding="utf-8")
    line = re.search("^feature_infos=(.*)$", text, re.MULTILINE)
    if line is not None:
        nothing = " ".join(["none"] * len(line.group(1).split(" ")))
        path.write_text(f"{text[: line.start(1)]}{nothing}{text[line.end(1) :]}", encoding="utf-8", newline="\n")


def _save_estimator(
    model: EstimatorModel, features: pd.DataFrame, folder: Path, meta: Model, forms: Mapping[str, Form]
) -> str:
    columns = as_given(columns_of(features[list(model.features)], model.texts), features, forms)
    predictor = RawEstimator(model.pipeline, columns, model.known_classes)
    signature = signature_of(predictor.columns, predictor.predict(features.head(EXAMPLE_ROWS)))
    bare, trusted = without_code(model.pipeline)
    embedded = _embedded(model.pipeline)
    carried = [*_packages(trusted), *_carried(embedded)]
    with travelling_code() as code, _written_out(model.pipeline if bare is None else None) as packages:
        mlflow.sklearn.save_model(
            model.pipeline if bare is None else bare,
            folder,
            mlflow_model=meta,
            signature=signature,
            pip_requirements=requirements(["scikit-learn", "pandas", "numpy", *packages, *carried]),
            code_paths=[code],
            serialization_format=CLOUDPICKLE if bare is None else SKOPS,
            skops_trusted_types=list(trusted) or None,
        )
    (folder / RAW).mkdir()
    if embedded is not None and not MODULE.fullmatch(embedded["embedding"]):
        shutil.copytree(embedded["embedding"], folder / RAW / raw_columns.WEIGHTS)
        embedded = {**embedded, "embedding": raw_columns.WEIGHTS}
    file = Path("..", meta.flavors["sklearn"]["pickled_model"])
    raw_columns.write_columns(
        folder / RAW, predictor.columns, predictor.classes, file.as_posix(), trusted, _shown(model.pipeline), embedded
    )
    _load_with(meta, folder)
    return CLOUDPICKLE if bare is None else SKOPS


def _load_with(meta: Model, folder: Path) -> None:
    """MLflow's own flavours would refuse texts and dates, or hand out codes for labels."""
    meta.flavors["python_function"].update(loader_module=LOADER, data=RAW)
    meta.flavors["python_function"].pop("predict_fn", None)
    meta.save(folder / "MLmodel")


def as_given(columns: RawColumns, features: pd.DataFrame, forms: Mapping[str, Form]) -> RawColumns:
    """The same columns, which know where values are missing and how they are written outside the product."""
    gaps = features.isna().any()
    converted = []
    for column in columns:
        form = forms.get(column.name, PLAIN)
        optional = bool(gaps[column.name])
        lost = () if optional else tuple(word for word in column.categories if word in raw_values.READ_AS_MISSING)
        given = replace(column, optional=optional, format=form.text_format, words=form.words, read_as_missing=lost)
        converted.append(given)
    return RawColumns(tuple(converted))


def columns_of(features: pd.DataFrame, texts: Collection[str] = ()) -> RawColumns:
    kinds = schema_of(features).kinds
    values = {name: () if name in texts else _texts(features[name], kind) for name, kind in kinds.items()}
    return RawColumns(tuple(RawColumn(name, kind, values[name]) for name, kind in kinds.items()))


def _texts(values: pd.Series, kind: str) -> tuple[str, ...]:
    return tuple(sorted(values.dropna().unique())) if kind == "string" else ()


@contextmanager
def travelling_code() -> Iterator[str]:
    """A package of the modules that travel with the model."""
    with tempfile.TemporaryDirectory(prefix="synth-mlflow-") as parent:
        package = Path(parent) / PACKAGE
        for module in TRAVELLING:
            path = Path(str(module.__file__))
            folder = package / path.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            for inside in (package, folder):
                (inside / "__init__.py").write_text("")
            (folder / path.name).write_bytes(path.read_bytes())
        yield str(package)


def without_code(pipeline: Any) -> tuple[Any | None, tuple[str, ...]]:
    """A fitted pipeline without our own function, as skops can keep it, and the types that its reader has to trust.

    Returns
    -------
    pipeline or None
        None if it holds anything that is no plain data of a library in ``KNOWN_TYPES``, or if it does not come back.
    tuple of str
        Types beyond those that skops always trusts.
    """
    bare = _bare(pipeline)
    if bare is None:
        return None, ()
    import skops.io  # takes more than a second, which each command would pay
    from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

    try:
        content = skops.io.dumps(bare)
        trusted = tuple(skops.io.get_untrusted_types(data=content))
        if all(name.partition(".")[0] in KNOWN_TYPES or name in KNOWN_TYPES for name in trusted):
            skops.io.loads(content, trusted=trusted)
            return bare, trusted
    except (UnsupportedTypeException, UntrustedTypesFoundException, TypeError, ValueError, AttributeError, KeyError):
        pass  # skops cannot keep it
    return None, ()


def _shown(pipeline: Any) -> dict[str, Any] | None:
    """What :func:`raw_estimator.named` takes in front of a pipeline; None where it does not stand there."""
    front = pipeline.steps[0][1]
    is_named = isinstance(front, FunctionTransformer) and front.func is raw_estimator.named
    return json.loads(canonical_json(front.kw_args)) if is_named else None


def _embedded(pipeline: Any) -> dict[str, Any] | None:
    """What :func:`raw_embedding.with_vectors` takes in a pipeline; None where it has none."""
    front = pipeline.steps[0][1]
    steps = [step for _, step in front.steps] if isinstance(front, Pipeline) else []
    functions = [step for step in steps if isinstance(step, FunctionTransformer)]
    embedding_steps = [step for step in functions if step.func is raw_embedding.with_vectors]
    return dict(embedding_steps[0].kw_args) if embedding_steps else None


def _carried(embedded: Mapping[str, Any] | None) -> list[str]:
    """The distributions that an embedding needs where the model is served, as far as one ships it."""
    if embedded is None:
        return []
    target = embedded["embedding"]
    top = target.partition(":")[0].partition(".")[0] if MODULE.fullmatch(target) else "model2vec"
    return metadata.packages_distributions().get(top, [])[:1]


def _bare(pipeline: Any) -> Any | None:
    """The same steps without our function in front; None for a pipeline that has another front."""
    front = pipeline.steps[0][1]
    if _shown(pipeline) is not None:
        return Pipeline(pipeline.steps[1:])
    first = front.steps[0][1] if isinstance(front, Pipeline) else None
    if not isinstance(first, FunctionTransformer) or first.func is not raw_values.plain:
        return None
    return copy.deepcopy(Pipeline([("columns", front.steps[-1][1]), *pipeline.steps[1:]]))  # of plain classes


def _packages(types: Iterable[str]) -> set[str]:
    """The distributions of some types, beside those that every model asks for, and skops."""
    shipped = metadata.packages_distributions()
    tops = {name.partition(".")[0] for name in types} & shipped.keys()
    return {shipped[top][0] for top in tops} | ({"skops"} if types else set())


@contextmanager
def _written_out(pipeline: Any) -> Iterator[set[str]]:
    """Inside the block, code that no distribution ships is pickled itself; gives the distributions of all other code.

    The user's own modules are such code, and what this package puts in front of an estimator. None has no code.
    """
    if pipeline is None:
        yield set()
        return
    shipped = metadata.packages_distributions()
    known = shipped.keys() | sys.stdlib_module_names
    registered: set[str] = set()
    try:
        _register({module.__name__ for module in (raw_columns, raw_estimator, raw_values)}, registered)
        while own := {name for name in _modules_of(pipeline) if name.partition(".")[0] not in known} - registered:
            _register(own, registered)
        tops = {name.partition(".")[0] for name in _modules_of(pipeline)}
        yield {shipped[top][0] for top in tops if top in shipped}
    finally:
        for name in registered:
            cloudpickle.unregister_pickle_by_value(sys.modules[name])


def _register(names: Iterable[str], registered: set[str]) -> None:
    for name in names:
        cloudpickle.register_pickle_by_value(sys.modules[name])
        registered.add(name)


def _modules_of(pipeline: Any) -> set[str]:
    """Every module that a pickle of the pipeline refers to."""
    reader = _Modules(io.BytesIO(cloudpickle.dumps(pipeline)))
    reader.load()
    return reader.modules


class _Modules(pickle.Unpickler):
    """Reads a pickle that was just written here, and notes the modules that it asks for."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        cls = super().find_class(module, name)
        return self._imported if name == "subimport" else cls

    def _imported(self, name: str) -> Any:
        self.modules.add(name)
        return sys.modules[name]


def requirements(packages: Iterable[str]) -> list[str]:
    pinned = sorted({*packages} - {"mlflow", "mlflow-skinny", "cloudpickle"})  # mlflow brings these
    return [f"mlflow>={metadata.version('mlflow')}", *(f"{name}=={metadata.version(name)}" for name in pinned)]
