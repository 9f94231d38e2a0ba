"""Writes tests/golden/tokenizer: ids of unusual texts from transformers' CLIPTokenizer.

A small byte-pair vocabulary in CLIP's layout is trained here on a few sentences; the ids come from
the same files, read by transformers (files of both forms) or by tokenizers (tokenizer.json with
steps that CLIPTokenizer does not have). Run with Python, transformers and tokenizers installed:
python tools/golden/tokenizer.py
"""

import json
import pathlib
import random
import tempfile

import tokenizers
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizer"
START, END = "<|startoftext|>", "<|endoftext|>"

SENTENCES = """
a red cube and a blue sphere on a wooden table
a photo of an astronaut riding a horse on mars, highly detailed, 8k
the quick brown fox doesn't jump over the lazy dog's bed; it'll sleep
two glass cones left of a golden torus, soft light from the window
they've said we're here and i'm there, you'd better know what's what
portrait of an old man with a white beard, oil painting, chiaroscuro
a small green cylinder behind a large yellow cube made of rubber
café naïve façade crème brûlée übergroße straße ångström
кошка сидит на столе и смотрит в окно
日本の山と海の写真 東京 北京 中文 字符
""".strip().splitlines()

TEXTS = [
    "", " ", "   ", "\t\n\r\n", "a", "A", "A b C", "a red cube", "A RED CUBE", "  leading", "trailing  ",
    "two  spaces", "tab\tbetween", "line\nbreak", "dos\r\nbreak", "old\rmac", "form\ffeed", "v\vtab",
    "nbsp\u00a0here", "ideographic\u3000space", "en\u2002quad\u2003em", "thin\u2009\u200ahair", "nel\u0085x",
    "line\u2028sep\u2029par", "narrow\u202fnbsp\u205fmath", "ogham\u1680space", "mongolian\u180evowel",
    "zero\u200bwidth", "zwj\u200djoin", "zwnj\u200cnon", "word\u2060joiner", "\ufeffbom", "soft\u00adhyphen",
    "it's", "IT'S", "they're we've i'm you'll he'd isn't", "'s", "''s", "'S 'T 'RE 'VE 'M 'LL 'D", "rock'n'roll",
    "o'clock'd've", "'sss", "'re'", "' s", "a's.b't", "\u2019s", "it\u2019s curly", "'r 'v 'l 'll'll", "don''t",
    "0", "42", "3.14159", "1,000,000", "1st 2nd", "a1b2c3", "\u0661\u0662\u0663", "\u2160\u2161\u2162", "\u00bd \u00b2 \u00b3",
    "\u2460\u2461", "\uff11\uff12", "\U0001d7d8\U0001d7d9", "12\u0967\u0968", "x\u2081\u2082", "\u3007\u3021\u3029", "8k",
    "hello, world!", "!!!", "?!?!", "...", "a...b", "(nested [brackets] {here})", "a+b=c", "$100 \u20ac5 \u00a37 \u00a59",
    "#tag @user", "a_b__c", "a-b--c", "semi;colon:colon", "slash/back\\slash", "\"quoted\"", "\u201ccurly\u201d",
    "50%", "a&b", "a*b**c", "~`^|<>", "<tag>", "</w>", "a</w>", "<|", "|>", "<||>", "\u2014\u2013\u2026", "\u00ab\u00bb", "\u00b7\u2022",
    START, END, START + END, "a " + END + " b", "a" + END + "b", START + "cat", "cat " + START,
    "<|STARTOFTEXT|>", "<|EndOfText|>", "x<|ENDOFTEXT|>y", "<|endoftext|", "<|endoftext|>>", "<<|endoftext|>",
    "<|endoftext|><|endoftext|>", " <|endoftext|> ", "<| endoftext |>", "<|endoftext|>'s", "\uff1c|endoftext|\uff1e",
    "caf\u00e9", "cafe\u0301", "CAF\u00c9", "CAFE\u0301", "na\u00efve", "nai\u0308ve", "\u00c5ngstr\u00f6m", "A\u030angstro\u0308m", "\u212bngstrom",
    "\u01d5\u01d6", "U\u0308\u0304", "\u1e9b\u0323", "q\u0307\u0323", "q\u0323\u0307", "a\u0301\u0323", "\u0301", "\u0301a", " \u0301", "a\u0301\u0301\u0301\u0301",
    "e\u0301e\u0300e\u0302", "\u0344", "\u0958", "\u0915\u093c", "\uac00\u11a8", "\u1100\u1161\u11a8", "\u1100\u1161", "\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "\u2126 \u212a \u212b", "\ufb01 \ufb02 \ufb00", "o\ufb03ce", "\ufb20\ufb21", "\u0132\u0133", "\u01c4\u01c5\u01c6", "\u1e9e \u00df", "STRASSE stra\u00dfe", "GRO\u00df",
    "\u0130stanbul", "I\u0307stanbul", "\u0131stanbul", "I\u0130i\u0131", "\u03a3\u03c3\u03c2", "\u039f\u0394\u039f\u03a3", "\u1f08\u1f88\u1fbc", "\u03a9\u2126", "\u1e00\u1e01",
    "\u24b6\u24d0", "\u2160\u2170", "\uff21\uff41", "\U00010400\U00010428", "\u13a0\uab70", "\u10a0\u2d00", "\u1c90\u10d0", "\ua64a\u1c88", "\u0345\u1fb3",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440", "\u041a\u041e\u0428\u041a\u0410", "\u0419\u0438\u0306\u0439", "\u0401\u0435\u0308", "\u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1", "\u0393\u03b5\u03b9\u03ac",
    "\u4f60\u597d\u4e16\u754c", "\u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8", "\u304b\u3099\u304c", "\u30ab\u3099", "\uff76\uff9e", "\u3071\u3093\u3064", "\uf900\ufa0e", "\U00020000\U0002a6df", "\u9f98\u3400",
    "\u4e2d\u6587\u548cEnglish\u6df7\u5408", "\u3010\u62ec\u53f7\u3011\u3002\u3001", "\uff0c\uff01", "\u534d \u2e80\u2f00", "\ufe0f\ufe0e",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0627\u0644\u0633\u064e\u0651\u0644\u064e\u0627\u0645\u064f", "\u200f\u202babc\u202c\u200e", "\ufefb\ufedf",
    "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0939\u093f\u0928\u094d\u0926\u0940 \u0967\u0968", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0e01\u0e33", "\u0e81\u0eb3", "\u1780\u17d2\u1798", "\u0f40\u0f72\u0f0b", "\u1000\u103b", "\u0b95\u0bca", "\u12a0\u121b", "\u10d2\u10d0\u10db",
    "\U0001f600", "\U0001f600\U0001f601\U0001f602", "a\U0001f600b", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3", "\u263a \u2603", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "\u2200x\u2208\u211d", "\u222b\u2211\u220f\u221a", "\U0001d49c\U0001d4b7", "\u2102\u2115", "\u210c\u2128", "E=mc\u00b2", "\u2192\u21d2\u27f6", "\u2588\u2591\u2502", "\u266d\u266f\u266a", "\u2800\u28ff",
    "\x00", "a\x00b", "\x01\x02\x1f", "\x7f", "\x80\x9f", "\u00a0", "\u00ad", "\uffff", "\ufffe", "\ufffd", "\ue000\uf8ff", "\U000f0000\U0010ffff", "\ufdd0", "\u0378\u0379", "\U0001fffe",
    "\u1c89\u1c8a", "\ua7cb\ua7dc", "\ua7ce\ua7cf", "\ua7d2\ua7d3", "\U00010d50\U00010d70", "\U00016ea0\U00016ebb", "\U0002ebf0\U0002ee5d", "\U00010d40\U00010d49", "\U0001ccf0", "\U00013460",
    "\U00011935\U00011930", "\u09fe\u0301", "a\u08d3\u0301", "a\u0301\u08d3", "a\u1df6\u0301", "\U0001e130", "\U00010efd\u0301", "a\u0301\u0345\u1ac1", "\u32ff", "\ua7f2", "\U00010781",
    "x" * 100, "ab" * 60, "the" * 40, "\u00e9" * 30, "\u4e2d" * 30, "\U0001f600" * 12, "!" * 90, "7" * 40, "aA" * 33, "'s" * 20, " ".join(["cube"] * 40),
    "a photo of " + "very " * 60 + "red cube", "supercalifragilisticexpialidocious", "Donaudampfschifffahrtsgesellschaft", "pneumonoultramicroscopicsilicovolcanoconiosis",
    "https://example.org/a?b=c&d=%20#e", "name@example.org", "C:\\dir\\file.txt", "{\"json\": [1, 2.5, null]}", "int main() { return 0; }", "<lora:name:0.8>", "(red:1.2), [blue], ((x))", "a, b,c ,d", "\u00a9\u00ae\u2122", "\u00bfQu\u00e9? \u00a1S\u00ed!", "na\u00efve r\u00e9sum\u00e9 co\u00f6perate",
    "<new1>", "a<new1>b", "  <new1>  x", "my <pad> token", "wordy", "word", "a word here", "words word,word", "<STRIP>", "a <strip> b", "left<strip>right",
]

BROKEN = [  # not UTF-8
    b"\xff", b"a\xffb", b"\xc3", b"caf\xc3", b"\xc3\x28", b"\xe2\x82", b"\xe2\x28\xa1", b"\xf0\x9f\x98", b"\xf0\x28\x8c\xbc",
    b"\xed\xa0\x80", b"\xed\xbf\xbf x", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf", b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\x80", b"\x80\x80\x80", b"\xbf a \xbf", b"\xfe\xfe\xff\xff", b"\xf8\x88\x80\x80\x80", b"ok \xe4\xb8 \xad", b"\xe4\xb8\xad\xe4\xb8", b"\xf0\x9f\x98\x80\xf0\x9f",
]

ALPHABETS = [
    "abcXYZ '.!09", "eE\u0301\u0300\u0323\u0327\u00e9\u1eb9 ", "\u1100\u1161\u11a8\uac00\u0020a", "iI\u0130\u0131\u0307sS\u00df\u1e9e\u03c3\u03c2\u03a3",
    "\u200b\u200d\ufeff\u00a0\u3000\u2028a1!", "\U0001f600\U0001f3fd\u200d\u2764\ufe0fa ", "<|>endoftextstar' ", "\u0928\u093c\u094d\u0915\u0947\u0967 ",
]


def random_texts(count):
    rng = random.Random(20240229)
    for i in range(count):
        alphabet = ALPHABETS[i % len(ALPHABETS)]
        yield "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 24)))


def train():
    """CLIP's layout: byte symbols, the same at the end of a word, merges, the two special tokens."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    clip = CLIPTokenizer()
    tokenizer.normalizer = clip.backend_tokenizer.normalizer
    tokenizer.pre_tokenizer = clip.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=900, min_frequency=1, end_of_word_suffix="</w>", show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    merges = [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges] + [START, END]
    tokens = list(dict.fromkeys(tokens))
    return {token: i for i, token in enumerate(tokens)}, merges


def token(content, **flags):
    return {"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, **flags}


def variants(vocab, merges):
    """(name, files, whether transformers or tokenizers is the reference)"""
    def read_back(configure):
        tokenizer = CLIPTokenizer(vocab=vocab, merges=merges)
        backend = tokenizer.backend_tokenizer
        configure(backend)
        text = json.loads(backend.to_str())
        text["model"]["vocab"], text["model"]["merges"] = None, None  # the test puts them in
        return text

    plain = read_back(lambda b: None)
    for name in ("normalizer", "pre_tokenizer"):
        assert plain[name]
    hub = json.loads(json.dumps(plain))
    hub["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = \
        r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
    hub["added_tokens"] = [{"id": len(vocab) - 2, "special": True, **token(START, normalized=True)},
                           {"id": len(vocab) - 1, "special": True, **token(END)}]
    cased = json.loads(json.dumps(plain))
    cased["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Replace", "pattern": {"String": "cube"}, "content": "sphere"}]}
    byte_level = json.loads(json.dumps(plain))
    byte_level["normalizer"] = {"type": "NFKD"}
    byte_level["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    byte_level["added_tokens"] = [{"id": len(vocab) + i, "special": False, **t} for i, t in enumerate([
        token("<new1>", lstrip=True), token("word", single_word=True), token("<strip>", rstrip=True, lstrip=True, normalized=True),
        token("words", normalized=True)])] + byte_level["added_tokens"]
    byte_level["model"]["ignore_merges"] = True
    decomposed = json.loads(json.dumps(plain))
    decomposed["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}]}

    config = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END, "model_max_length": 77,
              "tokenizer_class": "CLIPTokenizer"}
    flags = {"__type": "AddedToken", **token(START, normalized=True)}
    sd15 = {**config, "bos_token": flags, "eos_token": {**flags, "content": END}, "unk_token": {**flags, "content": END}}
    sd15_map = {"bos_token": token(START, normalized=True), "eos_token": token(END, normalized=True), "pad_token": END,
                "unk_token": token(END, normalized=True)}
    sdxl = {**config, "pad_token": "!", "added_tokens_decoder": {
        "0": {**token("!"), "special": True}, str(len(vocab) - 2): {**token(START, normalized=True), "special": True},
        str(len(vocab) - 1): {**token(END, normalized=True), "special": True}}}
    files = {"vocab.json": None, "merges.txt": None}
    return [
        ("vocab and merges", {**files}, "transformers"),
        ("vocab, merges and config", {**files, "tokenizer_config.json": config}, "transformers"),
        ("as in SD 1.5", {**files, "tokenizer_config.json": sd15, "special_tokens_map.json": sd15_map}, "transformers"),
        ("as in SD 2.1", {**files, "tokenizer_config.json": sd15, "special_tokens_map.json": {**sd15_map, "pad_token": "!"}}, "transformers"),
        ("as in SDXL's second", {**files, "tokenizer_config.json": sdxl}, "transformers"),
        ("with added tokens", {**files, "tokenizer_config.json": config, "added_tokens.json": {"<new1>": len(vocab), "<pad>": len(vocab) + 1}}, "transformers"),
        ("tokenizer.json", {"tokenizer.json": plain, "tokenizer_config.json": config}, "transformers"),
        ("tokenizer.json alone", {"tokenizer.json": plain}, "tokenizers"),
        ("tokenizer.json as on the hub", {"tokenizer.json": hub}, "tokenizers"),
        ("tokenizer.json, cased", {"tokenizer.json": cased}, "tokenizers"),
        ("tokenizer.json, decomposed", {"tokenizer.json": decomposed}, "tokenizers"),
        ("tokenizer.json, byte level", {"tokenizer.json": byte_level}, "tokenizers"),
    ]


def fill(name, content, vocab, merges):
    if name == "vocab.json":
        return json.dumps(vocab, ensure_ascii=False)
    if name == "merges.txt":
        return "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    if name == "tokenizer.json":
        content = json.loads(json.dumps(content))
        content["model"]["vocab"], content["model"]["merges"] = vocab, merges
    return json.dumps(content, ensure_ascii=False)


def main():
    vocab, merges = train()
    texts = [t.encode() for t in TEXTS] + BROKEN + [t.encode() for t in random_texts(64)]
    decoded = [t.decode("utf-8", errors="replace") for t in texts]
    out = []
    first = {}
    for name, files, reference in variants(vocab, merges):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for file, content in files.items():
                (folder / file).write_text(fill(file, content, vocab, merges), encoding="utf-8")
            case = {"name": name, "files": files}
            if reference == "transformers":
                tokenizer = CLIPTokenizer.from_pretrained(folder)
                ids = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in decoded]
                case["special"] = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
                case["padded"] = tokenizer("a red cube", padding="max_length", truncation=True, max_length=8)["input_ids"]
                case["cut"] = tokenizer("a red cube " * 9, padding="max_length", truncation=True, max_length=8)["input_ids"]
                case["vocabulary"] = len(tokenizer)
            else:
                tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
                tokenizer.no_truncation()
                tokenizer.no_padding()
                ids = [tokenizer.encode(t, add_special_tokens=False).ids for t in decoded]
            # Most texts have the same ids in every variant: only those that differ are repeated.
            if not first:
                first = dict(enumerate(ids))
            case["ids"] = {str(i): row for i, row in enumerate(ids) if not out or row != first[i]}
            out.append(case)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "vocab.json").write_text(fill("vocab.json", None, vocab, merges), encoding="utf-8")
    (OUT / "merges.txt").write_text(fill("merges.txt", None, vocab, merges), encoding="utf-8")
    cases = {"made_by": "tools/golden/tokenizer.py", "transformers": transformers.__version__,
             "tokenizers": tokenizers.__version__, "texts_hex": [t.hex() for t in texts], "variants": out}
    (OUT / "cases.json").write_text(json.dumps(cases, separators=(",", ":")), encoding="utf-8")
    print(len(vocab), "tokens,", len(texts), "texts,", [(c["name"], len(c["ids"])) for c in out])


if __name__ == "__main__":
    main()
