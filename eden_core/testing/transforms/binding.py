"""What a transform is: its name, options, vocabulary, fingerprint, and that it does what its suite says."""

from eden_core.batch import SequenceBatch
from eden_core.interfaces import Transform
from eden_core.testing.capabilities import assumes, compare_capabilities
from eden_core.testing.clauses import CAPABILITIES, Clause
from eden_core.testing.options import check_bind, check_fingerprint, check_options, other_vocabulary
from eden_core.testing.suite import facts
from eden_core.testing.transforms.data import TransformData, apply
from eden_core.vocabulary import Vocabulary

_BINDS = Clause("binds", "`bind` returns a transform of the same name and options, and changes nothing of what it is asked of.")


class BindingTests(TransformData):
    """Checks of what a transform is."""

    @CAPABILITIES
    def test_capabilities_are_as_declared(self, transform: Transform, batch: SequenceBatch) -> None:
        """Looks for the sign of each capability, and compares with the suite."""
        given = {"transform": transform, "batch": batch}
        compare_capabilities(self, {c.name: assumes(self, c.name, **given) for c in self.optional}, **given)

    @_BINDS
    def test_bind_gives_a_transform(self, vocabulary: Vocabulary) -> None:
        """Binds the vocabulary, and looks at what comes back."""
        transform = self.make_transform()
        assert isinstance(transform.name, str), "the class attribute `name` must be the string that users write"
        bound = transform.bind(vocabulary)
        assert isinstance(bound, Transform), f"bind() must return a transform, not {bound!r:.100}"
        assert bound.name == transform.name, "bind() must return a transform of the same name"
        assert isinstance(bound.augments, bool), "`augments` must be True or False"

    @_BINDS
    def test_bind_keeps_the_options(self, vocabulary: Vocabulary) -> None:
        """Compares the options before and after, with their values and with another value of each."""
        check_bind(self.make_transform(), vocabulary)

    @_BINDS
    def test_bind_leaves_others_as_they_are(self, vocabulary: Vocabulary, batch: SequenceBatch) -> None:
        """Binds one transform to two vocabularies, and compares what the first one does before and after."""
        transform = self.make_transform()
        first = transform.bind(vocabulary)
        before = facts(apply(first, batch))
        transform.bind(other_vocabulary(vocabulary))
        assert facts(apply(first, batch)) == before, "bind() must not change what it bound before: return a new transform"

    @Clause("options-are-explicit", "Options are listed one by one, JSON-like, and kept as attributes of their names.")
    def test_options_are_explicit(self) -> None:
        """Looks at the constructor's signature, and for a JSON-like attribute of each option's name."""
        check_options(self.make_transform(), keyword_only=False)

    @Clause("fingerprint", "The fingerprint is a text with the name, equal for equal transforms, other for other options.")
    def test_fingerprint(self, transform: Transform, vocabulary: Vocabulary) -> None:
        """Compares the fingerprints of two transforms, and those with other options."""
        check_fingerprint(transform, self.make_transform().bind(vocabulary))
