"""The golden vectors, which the browser's tests read too: both ways, and equal to what their script writes."""

import datetime as dt
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import FROM_BROWSER, TO_BROWSER, Message, Vocabulary

FOLDER = Path(__file__).parents[1] / "vectors"
VOCABULARIES: dict[str, Vocabulary] = {"gateway": FROM_BROWSER, "browser": TO_BROWSER}


def rows(name: str) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in json.loads((FOLDER / f"{name}.json").read_text())]


def messages_of(row: dict[str, Any]) -> list[Message]:
    kinds = {kind.tag: kind for kind in VOCABULARIES[row["to"]]}
    return [
        kinds[noted["tag"]](**{name: field_of(name, value) for name, value in noted.items() if name != "tag"})
        for noted in row["messages"]
    ]


def field_of(name: str, noted: Any) -> Any:
    if name == "payloads":
        return [bytes.fromhex(payload) for payload in noted]
    return bytes.fromhex(noted) if name in ("payload", "changes") else noted


def value_of(noted: Any) -> Any:
    match noted:
        case {"$float": str(text)}:
            return float(text)
        case {"$int": str(text)}:
            return int(text)
        case {"$bytes": str(text)}:
            return bytes.fromhex(text)
        case {"$datetime": str(text)} | {"$naive": str(text)}:
            return dt.datetime.fromisoformat(text)
        case {"$date": str(text)}:
            return dt.date.fromisoformat(text)
        case {"$array": {"dtype": dtype, "shape": shape, "values": values}}:
            if dtype.startswith("<c"):
                values = [complex(*parts) for parts in values]
            if dtype.startswith("<M"):
                values = [np.datetime64(text or "NaT", "ms") for text in values]
            return np.array([value_of(part) for part in values], dtype=dtype).reshape(shape)
        case dict():
            return {key: value_of(part) for key, part in noted.items()}
        case list():
            return [value_of(part) for part in noted]
    return noted


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        np.testing.assert_array_equal(left, right, strict=True)
        return True
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(part, right[key]) for key, part in left.items())
    return type(left) is type(right) and (left == right or left != left)


@pytest.mark.parametrize("row", rows("messages"))
def test_a_frame_decodes_to_its_messages(row: dict[str, Any]) -> None:
    assert codec.decode(bytes.fromhex(row["hex"]), VOCABULARIES[row["to"]]) == messages_of(row)


@pytest.mark.parametrize("row", rows("messages"))
def test_messages_encode_to_their_frame(row: dict[str, Any]) -> None:
    assert codec.encode(*messages_of(row)).hex() == row["hex"]


@pytest.mark.parametrize("row", rows("values"))
def test_bytes_unpack_to_their_value(row: dict[str, Any]) -> None:
    assert same(codec.unpack(bytes.fromhex(row["hex"])), value_of(row["value"]))


@pytest.mark.parametrize("row", rows("values"))
def test_a_value_packs_to_its_bytes(row: dict[str, Any]) -> None:
    assert codec.pack(value_of(row["value"])).hex() == row["hex"]


@pytest.mark.parametrize("row", rows("invalid"))
def test_an_invalid_frame_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        codec.decode(bytes.fromhex(row["hex"]), VOCABULARIES[row["to"]])


def test_the_committed_vectors_are_those_that_the_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("generate_vectors", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "HERE", tmp_path)
    script.main()
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in FOLDER.glob("*.json")}
