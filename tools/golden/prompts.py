"""Writes tests/golden/prompts/cases.json: prompts as A1111's web UI and ComfyUI read them.

Usage: python tools/golden/prompts.py PROMPT_PARSER SD_HIJACK_CLIP SD1_CLIP

The arguments are modules/prompt_parser.py and modules/sd_hijack_clip.py of the one and
comfy/sd1_clip.py of the other, from checkouts outside the tree. Only the functions that parse and
tokenize are run, taken out of those files by name; the tokenizer is tests/golden/tokenizer's.
States of windows are random numbers by formula: what counts is how weights change them.
"""
import ast
import json
import pathlib
import re
import sys
import types

import torch
from transformers import CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENGTH, WIDTH = 77, 3

PROMPTS = [
    "", " ", "a red cube", "a (red) cube", "a (red:1.5) cube", "a [red] cube", "a ((red)) cube",
    "(a (red:1.3) cube:0.7)", "(a (red) [cube:2] sphere)", "((a:1.2) b:0.5) c", "(unclosed red",
    "[unclosed (red", "closed) red]", ")(", "(", ")", "()", "[]", "((()))", "a:1.2", "(a:1.2", "(:1.2)",
    "(red: 1.3 )", "(red:+1.3)", "(red:-0.5)", "(red:1e1)", "(red:.5)", "(red:1.)", "(red:one)",
    "(red:1.2:1.4)", "\\(red\\) cube", "a \\[red\\] \\\\ cube", "back\\slash", "end\\",
    "(\\(red\\):1.4)", "(a\\)b)", "red BREAK cube", "redBREAK cube", "BREAK", "BREAK cube",
    "red BREAK BREAK cube", "(red:1.2) BREAK [cube]", "red\ncube", "red,cube,sphere", "a (b) (c)d(e:2)",
    "(a (b (c (d:0.5):0.6):0.7):0.8)", "the (red cube:0) and", "Crème (brûlée:1.1) 猫",
    " ".join(["red cube"] * 40), ", ".join(["red cube"] * 30), "(" + ", ".join(["blue"] * 90) + ":1.2)",
    "a " * 60 + "xqzvbnmkjhgfdsapoiuytrew " + "b " * 30, "a " * 74 + "the", "a " * 75 + "the",
    "word, " * 10 + "a " * 60 + "red cube on the table and a blue one and more",
]


def functions(path, names, space):
    """Runs the definitions of these names, and nothing else of the file."""
    tree = ast.parse(pathlib.Path(path).read_text())
    kept = []
    for node in tree.body:
        targets = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if getattr(node, "name", None) in names or set(targets) & set(names):
            kept.append(node)
    exec(compile(ast.Module(kept, []), str(path), "exec"), space)
    missing = [n for n in names if n not in space]
    assert not missing, missing
    return space


def method(path, name, space):
    """The first method of this name of any class."""
    tree = ast.parse(pathlib.Path(path).read_text())
    found = next(n for owner in tree.body if isinstance(owner, ast.ClassDef)
                 for n in owner.body if getattr(n, "name", None) == name)
    found.decorator_list = []
    exec(compile(ast.Module([found], []), str(path), "exec"), space)
    return space[name]


def states(seed):
    """(77, 3), as tests/pipelines/prompts/prompt_weights_test.cc makes them."""
    i = torch.arange(LENGTH * WIDTH, dtype=torch.float64)
    return (torch.sin(0.37 * i + seed) + 0.2).reshape(1, LENGTH, WIDTH).float()


def main():
    parser_py, hijack_py, comfy_py = sys.argv[1:4]
    tokenizer = CLIPTokenizer(str(ROOT / "tests/golden/tokenizer/vocab.json"),
                              str(ROOT / "tests/golden/tokenizer/merges.txt"))
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    vocabulary = tokenizer.get_vocab()

    parse = functions(parser_py, ["re_attention", "re_break", "parse_prompt_attention"], {"re": re})
    space = {"prompt_parser": types.SimpleNamespace(**{k: parse[k] for k in ["parse_prompt_attention"]}),
             "opts": types.SimpleNamespace(emphasis="Original", enable_emphasis=True,
                                           comma_padding_backtrack=20)}
    functions(hijack_py, ["PromptChunk"], space)
    space["PromptChunkFix"] = None
    tokenize_line = method(hijack_py, "tokenize_line", space)
    nothing = types.SimpleNamespace(find_embedding_at_position=lambda *a: (None, 0))
    web_ui = types.SimpleNamespace(
        chunk_length=LENGTH - 2, id_start=start, id_end=end, comma_token=vocabulary.get(",</w>"),
        hijack=types.SimpleNamespace(embedding_db=nothing),
        tokenize=lambda texts: [tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts])

    comfy = functions(comfy_py, ["parse_parentheses", "token_weights", "escape_important",
                                 "unescape_important"], {})
    tokenize = method(comfy_py, "tokenize_with_weights", comfy)
    comfy_ui = types.SimpleNamespace(
        pad_with_end=True, end_token=end, start_token=start, tokens_start=1, max_length=LENGTH,
        max_word_length=8, pad_to_max_length=True, min_length=None, embedding_directory=None,
        embedding_identifier="embedding:", tokenizer=tokenizer)

    cases = []
    for prompt in PROMPTS:
        chunks, _ = tokenize_line(web_ui, prompt)
        a1111 = [dict(ids=c.tokens, weights=c.multipliers) for c in chunks]
        windows = [dict(ids=[t for t, _ in w], weights=[x for _, x in w])
                   for w in tokenize(comfy_ui, prompt)]
        pieces = [[text, weight] for text, weight in parse["parse_prompt_attention"](prompt)]
        cases.append(dict(prompt=prompt, pieces=pieces, a1111=a1111, comfy=windows))

    # What weights do to states: A1111 restores the mean, ComfyUI goes away from the empty prompt.
    weights = [1 + (i % 7) / 10 if i % 3 else 1.0 for i in range(LENGTH)]
    z = states(0)
    mean = z.mean()
    scaled = z * torch.tensor(weights).reshape(1, -1, 1)
    web = scaled * (mean / scaled.mean())
    empty = states(1)[0]
    ours = states(0)
    for j in range(LENGTH):
        if weights[j] != 1.0:
            ours[0][j] = (ours[0][j] - empty[j]) * weights[j] + empty[j]
    number = lambda t: [float(f"{float(v):.8g}") for v in t.flatten()]
    out = dict(length=LENGTH, start=start, end=end, cases=cases,
               states=dict(weights=weights, a1111=number(web), comfy=number(ours)))
    path = ROOT / "tests/golden/prompts/cases.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(out, separators=(",", ":"), ensure_ascii=True) + "\n")
    print(path, len(cases), path.stat().st_size)


if __name__ == "__main__":
    main()
