"""Learns a byte-level BPE in CLIP's file format, in which every word of the captions is one token.

All 512 byte symbols (with and without the end-of-word mark) are in it, so any text can be encoded.
<|endoftext|> has the highest id: CLIP's text tower pools at the arg-max of the ids.
"""

import collections
import json
import os

import common

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 32  # positions of the text tower


def byte_symbols():
    """The printable character of each byte, in CLIP's order."""
    keep = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in keep]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(len(rest))]


def count_words(captions):
    counts = collections.Counter()
    for caption in captions:
        for word in caption.lower().replace(",", " , ").replace(".", " . ").split():
            counts[word] += 1
    return counts


def learn_merges(counts):
    """Merges the most frequent pair until every word is one symbol."""
    words = {w: [*w[:-1], w[-1] + "</w>"] for w in counts}
    merges = []
    while True:
        pairs = collections.Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        best = min(pairs, key=lambda p: (-pairs[p], p))  # ties by spelling: the result is unique
        merges.append(best)
        for word, symbols in words.items():
            merged, i = [], 0
            while i < len(symbols):
                if tuple(symbols[i:i + 2]) == best:
                    merged.append(symbols[i] + symbols[i + 1])
                    i += 2
                else:
                    merged.append(symbols[i])
                    i += 1
            words[word] = merged


def write(folder, merges):
    symbols = byte_symbols()
    tokens = symbols + [s + "</w>" for s in symbols] + [a + b for a, b in merges] + [START, END]
    os.makedirs(folder, exist_ok=True)
    dump = lambda name, value: _dump(os.path.join(folder, name), value)
    dump("vocab.json", {t: i for i, t in enumerate(tokens)})
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    dump("special_tokens_map.json", special)
    dump("tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH, "do_lower_case": True,
        "add_prefix_space": False, "errors": "replace", **special})


def _dump(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=1)
        f.write("\n")


def load(folder):
    from transformers import CLIPTokenizer
    return CLIPTokenizer.from_pretrained(folder)


class Encoder:
    """Caption to ids, remembered: captions repeat, and the tokenizer is slower than a lookup."""

    def __init__(self, folder):
        self.tokenizer, self.known = load(folder), {}

    def __call__(self, captions):
        import torch
        for c in captions:
            if c not in self.known:
                self.known[c] = self.tokenizer(c, padding="max_length", truncation=True,
                                               max_length=LENGTH)["input_ids"]
        return torch.tensor([self.known[c] for c in captions])  # (b, LENGTH)


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--data", nargs="+", required=True, help="scene sets")
    parser.add_argument("--out", required=True, help="tokenizer folder to write")
    args = parser.parse_args()
    captions = [c for d in args.data for s in common.SceneSet(d).scenes for c in s["captions"]]
    counts = count_words(captions)
    write(args.out, learn_merges(counts))
    encode = load(args.out)
    longest = max(len(encode(c)["input_ids"]) for c in set(captions))
    split = [w for w in counts if len(encode(w)["input_ids"]) != 3]
    print(f"{len(counts)} words, {len(encode)} tokens, longest caption {longest} of {LENGTH}")
    if split or longest > LENGTH:
        raise SystemExit(f"not one token each: {split}; longest caption {longest}")


if __name__ == "__main__":
    main()
