"""Operations on a run: train, encode, restore, impute, evaluate, edit rows, traverse."""
