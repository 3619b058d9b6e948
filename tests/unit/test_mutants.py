"""The list of mutations fits the source; whether tests notice each is what `python -m tests.mutants` tries."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import MUTATIONS, ROOT
from tests.mutants.mutation import Misfit, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_source(mutation: Mutation) -> None:
    mutation.check(ROOT)


def test_no_two_mutations_bear_one_name() -> None:
    names = [mutation.name for mutation in MUTATIONS]

    assert sorted(set(names)) == sorted(names)


def test_a_mutation_that_the_source_does_not_have_is_told() -> None:
    lost = MUTATIONS[0]._replace(old="what nobody wrote")

    with pytest.raises(Misfit, match="found it 0 times"):
        lost.check(ROOT)
