import pytest

from glo.data import SourceOptions
from glo.errors import UserError


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": True},
        {"size": 2.5},
        {"size": 10**9},
        {"channels": 2},
        {"channels": True},
        {"limit": 0},
        {"limit": -3},
        {"crop": "centre"},
        {"split": "val"},
    ],
)
def test_wrong_value_names_the_field_and_the_value(wrong):
    ((field, value),) = wrong.items()
    with pytest.raises(UserError, match=f"^{field} is {value!r}; it must be "):
        SourceOptions(**wrong)


def test_near_word_is_suggested():
    with pytest.raises(UserError, match="Did you mean 'center'"):
        SourceOptions(crop="centre")
