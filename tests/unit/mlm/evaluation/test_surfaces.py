"""Entries of a vocabulary that begin a word."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from foldwise.mlm.evaluation.surfaces import read_surfaces
from foldwise.mlm.texts.text import read_texts


def test_byte_level_and_sentencepiece_words_are_told_from_their_pieces(corpus, tmp_path):
    texts = [text.text for text in read_texts(corpus / "training.jsonl")]
    special = ["<pad>", "<mask>"]
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    byte_level.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=1500,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.train_from_iterator(
        texts,
        trainers.UnigramTrainer(vocab_size=1500, special_tokens=special, unk_token="<pad>"),
    )
    for name, raw, mark in (("bpe", byte_level, "Ġ"), ("unigram", unigram, "▁")):
        PreTrainedTokenizerFast(
            tokenizer_object=raw, mask_token="<mask>", pad_token="<pad>"
        ).save_pretrained(tmp_path / name)
        loaded = AutoTokenizer.from_pretrained(tmp_path / name)
        surfaces = read_surfaces(loaded)
        words = [at for at, begins in enumerate(surfaces.initial) if begins]
        marked = [
            at for at in range(len(loaded)) if loaded.convert_ids_to_tokens(at).startswith(mark)
        ]
        assert set(words) == set(marked)
        (entry,) = surfaces.ids_of("국회", initial=True)
        assert loaded.convert_ids_to_tokens(entry).startswith(mark)
