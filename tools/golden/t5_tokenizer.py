"""Writes tests/golden/t5_tokenizer: ids of unusual texts from T5's tokenizers.

Small unigram models are trained here on a few sentences, with sentencepiece; the ids come from
transformers' T5Tokenizer for its spiece.model, and from tokenizers for files tokenizer.json with
steps that T5Tokenizer does not have. After tokenizer.py, whose texts these are; needs sentencepiece.
"""

import json
import pathlib
import random
import tempfile

import sentencepiece
import sentencepiece.sentencepiece_model_pb2 as model_pb2
import tokenizers
import transformers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

import tokenizer as clip

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/t5_tokenizer"
MARK = "\u2581"
TEXTS = ["<extra_id_0>", "a <extra_id_0> b", "x<extra_id_99>y<extra_id_1>", "<extra_id_100>", "</s>",
         "a </s> b", "<unk>", "<pad> a", f"{MARK}a{MARK}{MARK}b {MARK}", "a" + "\u0301" * 9, "e\u0301\u200d",
         "\u00a9\u200d\u2764", "\u0600\u0661x", "\r\n\r", "q\u200b\u200bq", "\ufb01\u0301", "\u00bd\u0301",
         "A\u030a\u0301", "\u212b\u0301", "\uff21\u0301 \uff76\uff9e"]
RULES = {"\u00c4": "Ae", "e\u0301": "\u00e9", "\u2013": "-", "\ufb01": "fi", "\ufb01\u0301": "X", "\u00ad": "",
         "\u3000": " ", "\u2026": "...", "\U0001f600": ":)", "  ": " "}


def train(folder, size, byte_fallback=False, rules=None, symbols=()):
    text = folder / "text.txt"
    text.write_text("\n".join(clip.SENTENCES), encoding="utf-8")
    more = {}
    if rules is not None:
        lines = [" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b)
                 for a, b in rules.items()]
        (folder / "rules.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        more["normalization_rule_tsv"] = str(folder / "rules.tsv")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "spiece"), vocab_size=size, pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, hard_vocab_limit=False, byte_fallback=byte_fallback, minloglevel=2,
        character_coverage=0.98, num_threads=1, user_defined_symbols=list(symbols), **more)
    proto = model_pb2.ModelProto()
    proto.ParseFromString((folder / "spiece.model").read_bytes())
    return proto


def tokenizer_json(proto, normalizer, splits, byte_fallback=False, template=True):
    pieces = [(p.piece, p.score) for p in proto.pieces]
    pieces += [(f"<extra_id_{i}>", 0.0) for i in range(4, -1, -1)]
    out = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=byte_fallback))
    charsmap = proto.normalizer_spec.precompiled_charsmap
    if normalizer is not None:
        out.normalizer = normalizer(charsmap)
    if splits is not None:
        out.pre_tokenizer = splits
    out.add_special_tokens(["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(5)])
    if template:
        out.post_processor = processors.TemplateProcessing(
            single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)])
    return out


def as_t5(charsmap):
    return normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Strip(left=False),
                                 normalizers.Replace(Regex(" {2,}"), MARK)])


def variants(folder):
    """name, transformers folder or tokenizer.json -> a function from text to ids"""
    small = train(folder, 250, rules=RULES)
    spaced = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                      pre_tokenizers.Metaspace(prepend_scheme="always")])
    yield "as the diffusion models have it", tokenizer_json(
        small, as_t5, pre_tokenizers.Metaspace(prepend_scheme="always", split=True))
    yield "white space first", tokenizer_json(small, normalizers.Precompiled, spaced)
    yield "mark at the start only", tokenizer_json(
        small, lambda _: normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="first"))
    yield "no mark, no split", tokenizer_json(
        small, lambda _: normalizers.Replace(" ", MARK),
        pre_tokenizers.Metaspace(prepend_scheme="never", split=False))
    yield "no steps", tokenizer_json(small, None, None)
    yield "prepended", tokenizer_json(
        small, lambda m: normalizers.Sequence([normalizers.Prepend(MARK),
                                               normalizers.Replace(" ", MARK)]), None)
    bytes_too = train(folder, 500, byte_fallback=True, rules={"\u2013": "-"})
    yield "byte fallback", tokenizer_json(bytes_too, as_t5, spaced, byte_fallback=True)


def all_texts(seed, count):
    rng = random.Random(seed)
    texts = clip.TEXTS + TEXTS
    for _ in range(count):
        texts.append("".join(rng.choice(rng.choice(clip.ALPHABETS + TEXTS)) for _ in range(rng.randint(1, 30))))
    return texts


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    texts = all_texts(7, 150)
    cases = {"versions": {m.__name__: m.__version__ for m in (tokenizers, transformers, sentencepiece)},
             "texts": texts, "variants": []}
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        for name, tokenizer in variants(folder):
            cases["variants"].append({
                "name": name, "tokenizer.json": json.loads(tokenizer.to_str()),
                "ids": [tokenizer.encode(t).ids for t in texts]})
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        train(folder, 300)
        t5 = transformers.T5Tokenizer.from_pretrained(folder)
        (OUT / "spiece.model").write_bytes((folder / "spiece.model").read_bytes())
        cases["spiece"] = t5(texts)["input_ids"]
        cases["length"] = 9
        cases["padded"] = t5(texts, padding="max_length", max_length=9, truncation=True)["input_ids"]
    with open(OUT / "cases.json", "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
