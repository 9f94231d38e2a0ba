#include "attention/heads/head_runner.h"

#include <algorithm>
#include <limits>

#include "attention/kernels/query_blur.h"
#include "attention/ops/local_attention.h"
#include "attention/tiles/tile_map.h"

namespace fovea {
namespace {

const HeadHandling& HandlingOf(const SiteCall& call, int row, int head) {
  static const HeadHandling plain;
  if (call.handling.empty()) return plain;
  const std::vector<HeadHandling>& heads = call.handling[static_cast<size_t>(row)];
  return heads.empty() ? plain : heads[static_cast<size_t>(head)];
}

bool CoversAll(const RowRange& rows, int64_t tokens) {
  return rows.begin <= 0 && rows.end >= tokens;
}

// Whether nothing of the operator's output is left, which an operator that does not mix itself then
// need not make.
bool IsBare(const SiteCall& call, const BoundOp& op, const HeadHandling& handling) {
  return !op.Traits().mixes && handling.mix.a == 0 &&
         CoversAll(handling.mix.rows, call.io.q.shape[1]);
}

bool NeedsRowsAlone(const SiteCall& call, const BoundOp& op) {
  const OpTraits& traits = op.Traits();
  if (traits.state) return true;
  if (!traits.seed) return false;
  return std::any_of(call.rows.begin(), call.rows.end(),
                     [&call](const BatchRow& row) { return row.seed != call.rows.front().seed; });
}

}  // namespace

struct HeadRunner::Block {
  int first_row = 0, rows = 0, first_head = 0, heads = 0;
  bool bare = false;  // only mixed: the operator does not run
  const HeadHandling* stand_in = nullptr;
};

void HeadRunner::Cut(const SiteCall& call, const ChosenHeads& choice,
                     std::vector<Block>& blocks) const {
  const int batch = call.spec.batch, heads = call.spec.heads;
  bool alone = NeedsRowsAlone(call, *choice.op);
  for (int row = 0; row < batch; ++row) {
    for (int head = 0; head < heads; ++head) {
      const StandIn* stand_in = HandlingOf(call, row, head).stand_in;
      if (stand_in != nullptr && stand_in->op != nullptr) {
        alone = alone || NeedsRowsAlone(call, *stand_in->op);
      }
    }
  }
  const auto alike = [&](int row_a, int head_a, int row_b, int head_b) {
    const HeadHandling &a = HandlingOf(call, row_a, head_a), &b = HandlingOf(call, row_b, head_b);
    if (a.stand_in != b.stand_in) return false;
    if (a.stand_in != nullptr) {
      return a.share == b.share && a.rows.begin == b.rows.begin && a.rows.end == b.rows.end;
    }
    return IsBare(call, *choice.op, a) == IsBare(call, *choice.op, b);
  };
  for (int row = 0; row < batch;) {
    int end_row = row + 1;
    const auto same_rows = [&](int other) {
      for (int head = 0; head < heads; ++head) {
        if (choice.heads[static_cast<size_t>(head)] && !alike(row, head, other, head)) return false;
      }
      return true;
    };
    while (!alone && end_row < batch && same_rows(end_row)) ++end_row;
    for (int head = 0; head < heads;) {
      if (!choice.heads[static_cast<size_t>(head)]) {
        ++head;
        continue;
      }
      int end = head + 1;
      while (end < heads && choice.heads[static_cast<size_t>(end)] && alike(row, head, row, end)) {
        ++end;
      }
      const HeadHandling& handling = HandlingOf(call, row, head);
      Block block{row, end_row - row, head, end - head, false, nullptr};
      if (handling.stand_in != nullptr) {
        block.stand_in = &handling;
      } else {
        block.bare = IsBare(call, *choice.op, handling);
      }
      blocks.push_back(block);
      head = end;
    }
    row = end_row;
  }
}

PreparedAttention& HeadRunner::PreparedFor(const BoundOp& op, const AttentionSpec& spec) {
  std::vector<Prepared>& all = prepared_[&op];
  for (const Prepared& each : all) {
    if (SameSpec(each.spec, spec)) return *each.prepared;
  }
  all.push_back({spec, op.Prepare(spec)});
  return *all.back().prepared;
}

std::vector<AttentionPart> HeadRunner::Run(const SiteCall& call, const ChosenHeads& choice) {
  std::vector<Block> blocks;
  Cut(call, choice, blocks);
  std::vector<AttentionPart> parts;
  for (const Block& block : blocks) parts.push_back(RunBlock(call, choice, block));
  return parts;
}

AttentionPart HeadRunner::RunBlock(const SiteCall& call, const ChosenHeads& choice,
                                   const Block& block) {
  const auto cut = [&block](const Tensor& x) {
    return x.Slice(0, block.first_row, block.rows).Slice(2, block.first_head, block.heads);
  };
  AttentionPart part;
  part.op = choice.op;
  part.first_sample = block.first_row, part.first_head = block.first_head;
  part.spec = call.spec;
  part.spec.batch = block.rows, part.spec.heads = block.heads;
  part.prepared = &PreparedFor(*choice.op, part.spec);
  OperatorIo& io = part.io;
  io.q = cut(call.io.q), io.k = cut(call.io.k), io.v = cut(call.io.v), io.out = cut(call.io.out);
  if (!call.io.hidden.Empty()) io.hidden = call.io.hidden.Slice(0, block.first_row, block.rows);
  io.weights = call.io.weights;
  io.first_head = block.first_head;
  io.layer_heads = call.spec.heads;
  io.at = {call.step, call.steps, call.rows[static_cast<size_t>(block.first_row)].seed,
           call.site.index, call.draw};
  Tensor lse;
  if (!call.io.lse.Empty()) {
    lse = call.io.lse.Slice(0, block.first_row, block.rows).Slice(1, block.first_head, block.heads);
  }

  if (block.stand_in != nullptr) {
    const HeadHandling& handling = *block.stand_in;
    part.ran = handling.share != 1 || !CoversAll(handling.rows, io.q.shape[1]);
    if (part.prepared->HasLse()) io.lse = lse;
    if (part.ran) RunPrepared(call, block, *choice.op, *part.prepared, io, false);
    RunStandIn(call, block, part);
    return part;
  }

  bool mixed = false;
  for (int row = block.first_row; row < block.first_row + block.rows; ++row) {
    for (int head = block.first_head; head < block.first_head + block.heads; ++head) {
      part.mix.push_back(HandlingOf(call, row, head).mix);
      mixed = mixed || !part.mix.back().IsPlain();
    }
  }
  if (!mixed) part.mix.clear();
  part.ran = !block.bare;
  if (part.ran) {
    if (part.prepared->HasLse()) io.lse = lse;
    if (choice.op->Traits().mixes) io.mix = part.mix;
    RunPrepared(call, block, *choice.op, *part.prepared, io, false);
    io.mix = {};
  }
  if (block.bare || !choice.op->Traits().mixes) ApplyHeadMix(call.ctx, part.mix, io.v, io.out);
  return part;
}

void HeadRunner::RunPrepared(const SiteCall& call, const Block& block, const BoundOp& op,
                             PreparedAttention& prepared, OperatorIo& io, bool stands_in) {
  OpState* state = nullptr;
  if (op.Traits().state) {
    ENSURE(block.rows == 1, call.site.path);
    const BatchRow& row = call.rows[static_cast<size_t>(block.first_row)];
    const StateKey key{call.site.index, block.first_head, &prepared, row.branch,
                       row.order,       row.picture,      stands_in};
    std::unique_ptr<OpState>& kept = states_[key];
    if (kept == nullptr) kept = prepared.NewState();
    state = kept.get();
  }
  io.maps = prepared.ChooseTiles(call.ctx, io, state);
  prepared.Run(call.ctx, io, state);
}

// T of the block's heads, put in place of what `out` holds, or over it.
void HeadRunner::RunStandIn(const SiteCall& call, const Block& block, AttentionPart& part) {
  Context& ctx = call.ctx;
  const StandIn& asked = *block.stand_in->stand_in;
  PartStandIn made;
  made.kind = asked.kind, made.sigma = asked.sigma;
  made.op = asked.op != nullptr ? asked.op : part.op;
  made.share = block.stand_in->share, made.rows = block.stand_in->rows;
  made.spec = part.spec;
  if (asked.kind == PerturbKind::kMeanQuery && !part.spec.causal) {
    made.spec.q = TextLayout(1);
    if (!made.op->Supports(made.spec).ok) made.spec.q = part.spec.q;
  }
  if (const Support support = made.op->Supports(made.spec); !support.ok) {
    throw Error(ErrorCode::kUnsupported, "perturbation: " + call.site.path + ": " + support.reason);
  }
  made.prepared = &PreparedFor(*made.op, made.spec);

  ArenaScope scope(ctx.arena);
  OperatorIo io = part.io;
  const int64_t rows = TokenCount(made.spec.q);
  const Shape asking{block.rows, rows, block.heads, part.spec.head_dim};
  const bool direct = !part.ran && rows == io.out.shape[1];
  if (!direct) io.out = ctx.arena.New(asking, part.spec.dtype);
  if (!direct || !made.prepared->HasLse()) io.lse = {};
  if (asked.kind != PerturbKind::kOperator) {
    io.q = ctx.arena.New(asking, part.spec.dtype);
    if (asked.kind == PerturbKind::kBlur) {
      BlurQueries(ctx, part.io.q, *GridSegment(part.spec.q), asked.sigma, io.q);
    } else {
      MeanQuery(ctx, part.io.q, io.q);
    }
  }
  RunPrepared(call, block, *made.op, *made.prepared, io, true);
  if (!direct) BlendHeads(ctx, io.out, made.share, made.rows, part.io.out);
  made.maps = io.maps;
  if (!part.ran && io.lse.Empty()) part.io.lse = {};
  part.stand_in = std::move(made);
}

}  // namespace fovea
