import llmgateway


def test_the_public_names_are_exactly_those_that_the_facade_lists() -> None:
    submodules = {"v1", "admin", "cli", "sentient"}
    public = {name for name in vars(llmgateway) if not name.startswith("_")} - submodules
    assert public == set(llmgateway.__all__)


def test_every_error_is_public_and_in_the_one_tree() -> None:
    def tree(kind: type[llmgateway.GatewayError]) -> set[str]:
        return {kind.__name__}.union(*(tree(child) for child in kind.__subclasses__()))

    assert tree(llmgateway.GatewayError) == {n for n in llmgateway.__all__ if n.endswith("Error")}
