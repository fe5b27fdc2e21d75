import pickle
from typing import ClassVar

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from eden_core import Vocabulary, errors

LETTERS = "ACGTURYSWKMBDHVNacgturyswkmbdhvn"


def character_tokenizer(letters=LETTERS, specials=("<EOS>", "<PAD>", "<BOS>", "<SEP>", "<UNK>")) -> Tokenizer:
    tokens = [*specials, *sorted({*letters, *"<>_ctrl"})]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=specials[-1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return tokenizer


def kmer_tokenizer() -> Tokenizer:
    tokens = ["<PAD>", "<UNK>", *(a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"), *"ACGTN"]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<UNK>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(".{3}|."), "isolated")
    return tokenizer


def test_nucleotide_ids_are_ascii_codes():
    vocabulary = Vocabulary.of("nucleotide")
    assert vocabulary.table.tolist() == list(range(256))
    assert vocabulary.specials == {"eos": 0, "pad": 1, "bos": 2, "sep": 3, "unk": 4, "mask": 5}


def test_byte_has_neither_bos_nor_sep():
    assert Vocabulary.of("byte").specials == {"eos": 0, "pad": 1}


def test_a_tag_is_spelt_in_characters():
    assert Vocabulary.of("nucleotide").encode("<ctrl_bcr>") == [60, 99, 116, 114, 108, 95, 98, 99, 114, 62]


def test_a_character_tokenizer_becomes_a_table():
    tokenizer = character_tokenizer()
    vocabulary = Vocabulary.of(tokenizer)
    assert [vocabulary.table[ord(base)] for base in LETTERS] == [tokenizer.token_to_id(base) for base in LETTERS]
    assert (vocabulary.eos, vocabulary.pad, vocabulary.bos, vocabulary.sep, vocabulary.unk) == (0, 1, 2, 3, 4)


def test_a_kmer_tokenizer_is_no_table():
    assert Vocabulary.of(kmer_tokenizer()).table is None


def test_a_tokenizer_that_merges_only_in_context_is_no_table():
    class Merging:
        pad_id = 0

        def tokenize(self, text):
            return [ord(c) for c in text.replace("ACG", "x")]

    assert Vocabulary.of(Merging()).table is None


def test_a_tokenizer_json_file(tmp_path):
    path = tmp_path / "tokenizer.json"
    character_tokenizer().save(str(path))
    assert Vocabulary.of(str(path)).bos == 2


def test_a_transformers_tokenizer_adds_no_specials():
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=character_tokenizer(), bos_token="<BOS>", eos_token="<EOS>", pad_token="<PAD>", unk_token="<UNK>"
    )
    vocabulary = Vocabulary.of(fast)
    assert (vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.sep) == (2, 0, 1, None)
    assert vocabulary.encode("ACG") == [character_tokenizer().token_to_id(base) for base in "ACG"]


class MegatronStyle:
    bos_id, eod, pad_id, _sep_id = 2, 0, 1, 3

    def tokenize(self, text):
        return [ord(c) for c in text]


class NemoStyle:
    bos_id, eos_id, pad_id, sep_id = 2, 0, 1, 3

    def text_to_ids(self, text):
        return list(text.encode())

    def tokenize(self, text):
        return list(text)


@pytest.mark.parametrize("tokenizer", [MegatronStyle(), NemoStyle()])
def test_megatron_and_nemo_tokenizers(tokenizer):
    vocabulary = Vocabulary.of(tokenizer)
    assert vocabulary.specials == {"eos": 0, "pad": 1, "bos": 2, "sep": 3}
    assert vocabulary.table[ord("A")] == 65


def test_a_special_that_raises_is_a_special_that_is_missing():
    class Careful(NemoStyle):
        @property
        def bos_id(self):
            raise NotImplementedError

    assert Vocabulary.of(Careful()).bos is None


def test_megatron_core_tokenizers_work(tmp_path):
    text = pytest.importorskip("megatron.core.tokenizers")
    path = tmp_path / "tokenizer"
    transformers = pytest.importorskip("transformers")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=character_tokenizer(), bos_token="<BOS>", eos_token="<EOS>", pad_token="<PAD>", unk_token="<UNK>"
    ).save_pretrained(str(path))
    tokenizer = text.MegatronTokenizer.from_pretrained(str(path), metadata_path={"library": "huggingface"})
    vocabulary = Vocabulary.of(tokenizer)
    assert vocabulary.table is not None
    assert (vocabulary.bos, vocabulary.eos, vocabulary.pad) == (2, 0, 1)


def test_without_padding_rows_are_filled_with_the_end_token():
    class NoPad:
        eos_token_id = 7

        def encode(self, text, add_special_tokens=True):
            assert not add_special_tokens
            return [ord(c) for c in text]

    assert Vocabulary.of(NoPad()).pad == 7


def test_no_tokenizer_at_all():
    with pytest.raises(errors.ConfigurationError, match="builtins.int is no tokenizer"):
        Vocabulary.of(3)


def test_an_unknown_name_lists_the_built_in_ones():
    with pytest.raises(errors.ConfigurationError, match="nucleotide, byte"):
        Vocabulary.of("nucleotides")


def test_neither_pad_nor_end():
    class Bare:
        def tokenize(self, text):
            return [ord(c) for c in text]

    with pytest.raises(errors.ConfigurationError, match="pad_id"):
        Vocabulary.of(Bare())


def test_a_vocabulary_pickles():
    again = pickle.loads(pickle.dumps(Vocabulary.of(character_tokenizer())))
    assert again.encode("ACG") == Vocabulary.of(character_tokenizer()).encode("ACG")


def test_two_tokenizers_have_two_names():
    assert Vocabulary.of(character_tokenizer()).name != Vocabulary.of(kmer_tokenizer()).name


def test_the_table_is_what_encoding_gives():
    vocabulary = Vocabulary.of(character_tokenizer())
    text = "ACGTNRYacgtn"
    assert vocabulary.encode(text) == vocabulary.table[np.frombuffer(text.encode(), np.uint8)].tolist()


def test_letters_that_it_does_not_know_have_no_entry():
    vocabulary = Vocabulary.of(character_tokenizer("ACGTN"))
    assert vocabulary.table[ord("N")] >= 0
    assert vocabulary.table[ord("R")] == vocabulary.table[ord("a")] == -1


def test_letters_that_it_fails_on_have_no_entry():
    class Strict:
        eos_id = 0
        known: ClassVar = dict(zip("ACGT", range(1, 5), strict=True))

        def tokenize(self, text):
            return [self.known[letter] for letter in text]

    vocabulary = Vocabulary.of(Strict())
    assert vocabulary.table[ord("T")] == 4
    assert vocabulary.table[ord("N")] == vocabulary.table[ord("a")] == -1


def test_numpy_ids_of_specials_count():
    tokenizer = NemoStyle()
    tokenizer.bos_id = np.int64(2)
    assert Vocabulary.of(tokenizer).bos == 2


def test_the_same_tokens_merged_otherwise_have_another_name():
    def bpe(merges):
        vocabulary = {token: i for i, token in enumerate(["<pad>", *"ACGT", "AC", "CG"])}
        return Tokenizer(models.BPE(vocab=vocabulary, merges=merges))

    one, two = (Vocabulary.of(bpe(m)).name for m in ([("A", "C"), ("C", "G")], [("C", "G"), ("A", "C")]))
    assert one != two
