"""torch_kinds.py - the kinds of work that torch_steps.py knows, by name."""
kinds = {}


def kind(function):
    kinds[function.__name__] = function
    return function
