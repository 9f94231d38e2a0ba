"""Teaches the denoiser's text encoder what the captions say, before it sees a picture.

Text alone is cheap: thousands of captions in the time of one batch of pictures. See slots.py.
"""

import numpy as np
import torch

import common
import models
import tokenizer as bpe
from slots import Slots


def main():
    parser = common.add_options(common.new_parser(__doc__), 4000, 1e-3, 64, decay=0.5)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--sets", nargs="+", required=True)
    args = common.parse(parser)
    encode = bpe.Encoder(args.tokenizer)
    encoder, heads = models.text_encoder(len(encode.tokenizer)), Slots(models.WIDTH)
    both = torch.nn.ModuleDict({"text_encoder": encoder, "slots": heads}).to(args.device)
    optimizer = torch.optim.AdamW(both.parameters(), lr=args.lr, betas=(0.9, 0.98),
                                  weight_decay=0.01, fused=True)
    step, spent, path = 0, 0.0, f"{args.out}/text.pt"
    state = common.load(path)
    if state:
        both.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["seconds"]
    captions = [c for name in args.sets for s in common.SceneSet(f"{args.data}/{name}").scenes
                for c in s["captions"]]
    rng = np.random.default_rng([step])
    log = common.Log(f"{args.logs}/text.csv", ["step", "samples", "seconds", "loss", "right"], step)
    part = common.Slice(args, spent)

    def keep():
        common.save(path, {"model": both.state_dict(), "optimizer": optimizer.state_dict(),
                           "step": step, "seconds": part.seconds()})

    while step < args.steps and not part.over():
        drawn = [captions[i] for i in rng.integers(len(captions), size=args.batch)]
        common.set_rate(optimizer, common.rate(step, args))
        scores = heads(encoder(encode(drawn).to(args.device)).last_hidden_state)
        targets = heads.targets(drawn).to(args.device)
        loss = heads.loss(scores, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            right = torch.stack([s.argmax(-1) == targets[..., i] for i, s in enumerate(scores)])
            log.row(step=step, samples=step * args.batch, seconds=part.seconds(),
                    loss=loss.item(), right=right.all(0).float().mean().item())
        if part.due():
            keep()
    keep()


if __name__ == "__main__":
    main()
