"""Makes everything under tests/golden again."""

import os
import runpy
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    sys.path.insert(0, HERE)
    for name in sys.argv[1:] or ["forward", "t5", "vit", "pipeline", "image_pipeline", "pipeline_classes", "transformer_pipelines", "perturbation",
                                 "single_file", "transformer_names", "lora", "adapters", "noise",
                                 "pictures", "preprocessing", "png", "schedulers", "tokenizer",
                                 "t5_tokenizer", "attention_maps", "vit_gradient"]:
        sys.argv = [name]
        runpy.run_path(os.path.join(HERE, name + ".py"), run_name="__main__")
