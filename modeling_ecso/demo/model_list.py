"""The models that a visitor can choose from: those in this process, and those that servers list."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..errors_ecso import ECSOError, ECSOInputError
from .demo_run import DemoModel


class ModelCatalog(ABC):
    """A server that answers with models of its own."""

    address: str

    @abstractmethod
    def models(self) -> list[DemoModel]:
        """Return the models it lists at this moment.

        Raises:
            ECSOError: It cannot be reached, or does not say.
        """


class ModelList:
    """All models by name; ask the servers anew with `reload`.

    Args:
        local: Models in this process.
        servers: Servers to ask for theirs.
    """

    def __init__(self, local: Sequence[DemoModel], servers: Sequence[ModelCatalog] = ()):
        """Ask the servers once."""
        self._local = tuple(local)
        self._servers = tuple(servers)
        self._models: dict[str, DemoModel] = {}
        self.errors: tuple[str, ...] = ()
        self.reload()

    @property
    def names(self) -> list[str]:
        """The names to choose from."""
        return list(self._models)

    @property
    def has_servers(self) -> bool:
        """Whether the list can change."""
        return bool(self._servers)

    @property
    def runs_here(self) -> bool:
        """Whether any model computes in this process."""
        return bool(self._local)

    def reload(self) -> None:
        """Ask all servers; those that fail leave a sentence in ``errors``, and no model."""
        found, errors = list(self._local), []
        for server in self._servers:
            try:
                found += server.models()
            except ECSOError as error:
                errors.append(f"No models from {server.address}: {error}.")
        self._models = {model.name: model for model in found}
        self.errors = tuple(errors)

    def get(self, name: str | None) -> DemoModel:
        """Return the model of that name.

        Raises:
            ECSOInputError: There is none, or none any more.
        """
        if name in self._models:
            return self._models[name]
        if name is None:
            raise ECSOInputError("there is no model to ask; reload the list when a server is up")
        raise ECSOInputError(
            f"the model {name} is no longer there; reload the list and choose another"
        )
