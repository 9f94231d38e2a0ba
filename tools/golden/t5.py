"""Makes T5's cases of tests/golden/forward, by transformers, in the form that forward.py describes."""

import json
import os

import numpy as np
from transformers import T5Config, T5EncoderModel

import forward
import reference


def ids(seed, *shape, high):
    return dict(input_ids=np.random.default_rng(seed).integers(0, high, shape))


# name, dtype, name of the table, config, runs. Heads times d_kv differs from d_model in all.
CASES = [
    # The form of T5 1.1 and XXL; one token, and more than the distances that have buckets.
    ("t5_v1_1", "F16", "shared.weight", dict(
        vocab_size=99, d_model=36, d_kv=5, d_ff=51, num_layers=3, num_heads=3,
        feed_forward_proj="gated-gelu"),
     [ids(1, 2, 7, high=99), ids(2, 1, 1, high=99), ids(3, 1, 261, high=99)]),
    ("t5_relu", "F32", "encoder.embed_tokens.weight", dict(
        vocab_size=64, d_model=24, d_kv=16, d_ff=40, num_layers=2, num_heads=4,
        relative_attention_num_buckets=14, relative_attention_max_distance=21,
        layer_norm_epsilon=1e-3, feed_forward_proj="relu"),
     [ids(4, 3, 33, high=64), ids(5, 1, 77, high=64)]),
    ("t5_gated_silu", "BF16", "shared.weight", dict(
        vocab_size=50, d_model=64, d_kv=64, d_ff=96, num_layers=1, num_heads=2,
        relative_attention_num_buckets=32, relative_attention_max_distance=64,
        feed_forward_proj="gated-silu"),
     [ids(6, 2, 130, high=50)]),
]


def run(model, inputs):
    return {"last_hidden_state": model(**inputs).last_hidden_state}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    for name, dtype, table, config, runs in CASES:
        model = T5EncoderModel(T5Config(**config))
        shapes = reference.fill(model, dtype, lambda n, t=table: t if n == "shared.weight" else n)
        model.config.architectures = ["T5EncoderModel"]
        forward.write_case(os.path.join(here, "../../tests/golden/forward"), name, dtype, model,
                           json.loads(model.config.to_json_string()), shapes, runs, run)


if __name__ == "__main__":
    main()
