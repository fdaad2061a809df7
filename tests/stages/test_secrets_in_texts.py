"""What people write is recorded as it is: a URI with a password is refused before it is."""

from __future__ import annotations

import pytest
import shop

from synth_mlflow import Workflow
from synth_mlflow.audit.retract import _retraction_info
from synth_mlflow.backends.command import refuse_secrets
from synth_mlflow.data.markup import checked_line
from synth_mlflow.data.statement import read_limits, read_statement
from synth_mlflow.errors import UsageError

URI = "postgresql://ann:s3 cr@t@db/rows"
REFUSED = r"holds a password or a token in a URI, which would be recorded: .*postgresql://ann@db/rows"


@pytest.mark.parametrize("field", ["purpose", "params", "prompts", "version"])
def test_no_record_takes_a_password(frozen, field):
    values = {"purpose": f"from '{URI}'", "params": {"at": [{"url": URI}]}, "prompts": (URI,), "version": URI}
    told = {"generator": "law", "version": "1", "params": {}, "seed": 1, "slice": None, "purpose": "x"}
    record = {**told, field: values[field]}
    with pytest.raises(UsageError, match=REFUSED) as refusal, frozen.batch(**record, source="none") as b:
        b.write(shop.customers(10, 1))
    assert "s3 cr" not in str(refusal.value)


@pytest.mark.parametrize(
    "act",
    [
        lambda: _retraction_info(f"see {URI}", "ann"),
        lambda: checked_line(URI, 200, "a name", ""),
        lambda: refuse_secrets(["make", URI, "{output}"]),
        lambda: refuse_secrets(["make", *URI.split(" "), "{output}"]),
    ],
)
def test_no_other_text_takes_a_password(act):
    with pytest.raises(UsageError, match="which would be recorded") as refusal:
        act()
    assert "s3 cr" not in str(refusal.value)


@pytest.mark.parametrize("old", ["Too few customers yet.", "They come one a day."])
def test_no_statement_takes_a_password(tmp_path, old):
    path = shop.write_shop(tmp_path, shop.customers(60, 1))
    path.write_text(path.read_text().replace(old, f"{old} See '{URI}'."))
    with pytest.raises(UsageError, match=REFUSED):
        read_statement(path)
    (tmp_path / "limits.md").write_text(f"## Known limitations\nsee '{URI}'\n")
    with pytest.raises(UsageError, match=REFUSED):
        read_limits(tmp_path / "limits.md")
    path.write_text(path.read_text().replace(URI, "postgresql://ann@db/rows"))
    assert read_statement(path)


def test_no_parameter_of_a_model_takes_a_password(tmp_path, uri):
    path = shop.write_shop(tmp_path, shop.customers(60, 1), slices=f'{{young: "region == \\"{URI}\\""}}')
    with pytest.raises(UsageError, match=REFUSED):
        Workflow("shop", uri).define(path)
