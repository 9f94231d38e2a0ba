#include "models/lora/layer_terms.h"

#include <cmath>
#include <cstring>

#include "models/files/json_text.h"
#include "models/lora/delta_terms.h"
#include "tensor/error.h"

namespace fovea {
namespace {

// Whether `shape` is (rows, columns), with or without axes of size 1 behind.
bool IsMatrix(const Shape& shape, int64_t rows, int64_t columns) {
  if (shape.rank < 2 || shape[0] != rows || shape[1] != columns) return false;
  return shape.NumElements() == rows * columns;
}

HostTensor Reshaped(HostTensor tensor, const Shape& shape) {
  HostTensor out(shape, tensor.dtype());
  std::memcpy(out.data(), tensor.data(), out.Bytes());
  return out;
}

HostTensor Transposed(const HostTensor& matrix) {
  const int64_t rows = matrix.shape()[0], columns = matrix.shape()[1];
  HostTensor out({columns, rows}, DType::kF32);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      out.Data<float>()[c * rows + r] = matrix.Data<float>()[r * columns + c];
    }
  }
  return out;
}

void Scale(HostTensor& tensor, double factor) {
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    tensor.Data<float>()[i] = static_cast<float>(factor * tensor.Data<float>()[i]);
  }
}

// (rank, rank, kh, kw) between (rank, in) and (out, rank): as one `down` (rank, in * kh * kw).
HostTensor FoldMid(const HostTensor& mid, const HostTensor& down) {
  const int64_t rank = mid.shape()[0], inner = mid.shape()[1];
  const int64_t positions = mid.shape()[2] * mid.shape()[3];
  const int64_t in = down.NumElements() / inner;
  HostTensor out({rank, in * positions}, DType::kF32);
  for (int64_t p = 0; p < rank; ++p) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t k = 0; k < positions; ++k) {
        double sum = 0;
        for (int64_t q = 0; q < inner; ++q) {
          sum += double{mid.Data<float>()[(p * inner + q) * positions + k]} *
                 down.Data<float>()[q * in + i];
        }
        out.Data<float>()[(p * in + i) * positions + k] = static_cast<float>(sum);
      }
    }
  }
  return out;
}

HostTensor Multiply(const HostTensor& a, const HostTensor& b) {  // (m,r) (r,n)
  const int64_t rows = a.shape()[0], rank = a.shape()[1], columns = b.shape()[1];
  HostTensor out({rows, columns}, DType::kF32);
  std::vector<double> sums(static_cast<size_t>(columns));
  for (int64_t i = 0; i < rows; ++i) {
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t k = 0; k < rank; ++k) {
      const double factor = a.Data<float>()[i * rank + k];
      for (int64_t j = 0; j < columns; ++j) {
        sums[static_cast<size_t>(j)] += factor * b.Data<float>()[k * columns + j];
      }
    }
    for (int64_t j = 0; j < columns; ++j) {
      out.Data<float>()[i * columns + j] = static_cast<float>(sums[static_cast<size_t>(j)]);
    }
  }
  return out;
}

// As in diffusers, where alpha is missing it is the rank.
double RankFactor(const LoraLayer& layer, int64_t rank) {
  if (!layer.scaling) return 1;
  const auto r = static_cast<double>(rank);
  return layer.scaling->alpha / (layer.scaling->root ? std::sqrt(r) : r);
}

// One layer of one file, made for a weight of the shape that the file knows: all rows of it.
class TermMaker {
 public:
  TermMaker(const LoraFile& file, const LoraLayer& layer, const Shape& full, double scale)
      : file_(file), layer_(layer), full_(full), scale_(scale) {}

  std::shared_ptr<const DeltaTerm> Make(const StoredTensor& place, const Tensor& weight) const {
    switch (layer_.method) {
      case LoraMethod::kProduct:
        return Product();
      case LoraMethod::kHadamard:
        return Hadamard();
      case LoraMethod::kKronecker:
        return Kronecker();
      case LoraMethod::kWhole:
        return Whole();
      case LoraMethod::kFactors:
        return Factors();
      case LoraMethod::kRotations:
        return Rotations(place, weight);
      case LoraMethod::kVectors:
        break;
    }
    Unfit();
  }

  // Of DoRA: one for each of the file's rows, or of the inputs.
  std::vector<float> Magnitudes(bool& of_inputs) const {
    const TensorEntry& entry = Part("magnitude");
    const Shape& shape = entry.shape;
    const bool peft = entry.name.find("lora_magnitude_vector") != std::string::npos;
    const bool rows = shape.NumElements() == Out() && (peft || shape[0] == Out());
    of_inputs = !rows && shape.rank >= 2 && shape[0] == 1 && shape[1] == In() &&
                shape.NumElements() == In();
    if (!rows && !of_inputs) Unfit();
    return Values(entry);
  }

  int64_t Out() const { return full_[0]; }
  int64_t In() const { return full_[1]; }
  int64_t Columns() const { return full_.NumElements() / full_[0]; }
  int64_t Positions() const { return Columns() / In(); }

 private:
  [[noreturn]] void Unfit() const { file_.ThrowUnfit(layer_, full_); }
  void Require(bool fits) const {
    if (!fits) Unfit();
  }
  const TensorEntry& Part(std::string_view part) const {
    const TensorEntry* entry = layer_.Find(part);
    ENSURE(entry != nullptr, std::string(part));
    return *entry;
  }
  HostTensor Read(std::string_view part) const { return file_.Read(Part(part)); }
  std::vector<float> Values(const TensorEntry& entry) const {
    const HostTensor tensor = file_.Read(entry);
    return {tensor.Data<float>(), tensor.Data<float>() + tensor.NumElements()};
  }
  double Factor(int64_t rank) const { return scale_ * RankFactor(layer_, rank); }
  // A core of Tucker's, (ranks, ranks, kh, kw) of the weight's kernel.
  bool IsCore(const Shape& shape, int64_t a, int64_t b) const {
    return shape.rank == 4 && shape[0] == a && shape[1] == b && full_.rank == 4 &&
           shape[2] == full_[2] && shape[3] == full_[3];
  }

  std::shared_ptr<const DeltaTerm> Product() const {
    const Shape &down = Part("down").shape, &up = Part("up").shape;
    const TensorEntry* mid = layer_.Find("mid");
    const int64_t rank = up.rank >= 2 ? up[1] : 0;
    Require(rank > 0 && IsMatrix(up, Out(), rank));
    if (mid != nullptr) {
      Require(down.rank >= 2 && IsCore(mid->shape, rank, down[0]) && IsMatrix(down, down[0], In()));
    } else if (Positions() > 1) {
      Require(down == Shape{rank, In(), full_[2], full_[3]});
    } else {
      Require(IsMatrix(down, rank, In()));
    }
    auto product = std::make_shared<LowRankProduct>();
    product->up = Reshaped(Read("up"), {Out(), rank});
    Scale(product->up, Factor(mid != nullptr ? down[0] : rank));
    product->down = mid != nullptr ? FoldMid(Read("mid"), Read("down"))
                                   : Reshaped(Read("down"), {rank, Columns()});
    return product;
  }

  LowRankProduct HadamardFactor(const char* a, const char* b, const char* core) const {
    const Shape &wa = Part(a).shape, &wb = Part(b).shape;
    Require(wa.rank == 2 && wb.rank == 2 && wb[0] > 0);
    const int64_t rank = wb[0];
    if (layer_.Find(core) == nullptr) {
      Require(wa[0] == Out() && wa[1] == rank && wb[1] == Columns());
      return {Read(a), Read(b)};
    }
    Require(wa[0] == rank && wa[1] == Out() && wb[1] == In() &&
            IsCore(Part(core).shape, rank, rank));
    return {Transposed(Read(a)), FoldMid(Read(core), Read(b))};
  }

  std::shared_ptr<const DeltaTerm> Hadamard() const {
    LowRankProduct first = HadamardFactor("hada_w1_a", "hada_w1_b", "hada_t1");
    LowRankProduct second = HadamardFactor("hada_w2_a", "hada_w2_b", "hada_t2");
    Scale(first.up, Factor(Part("hada_w1_b").shape[0]));
    return std::make_shared<HadamardTerm>(std::move(first), std::move(second));
  }

  // A factor of LoKr's, whole or of low rank, as a matrix; `rank` is set if it is of low rank.
  HostTensor KroneckerFactor(const std::string& name, bool kernel,
                             std::optional<int64_t>& rank) const {
    if (const TensorEntry* whole = layer_.Find(name)) {
      const Shape& shape = whole->shape;
      const int64_t positions = kernel && shape.rank == 4 ? shape[2] * shape[3] : 1;
      Require(shape.rank >= 2 && shape.NumElements() == shape[0] * shape[1] * positions);
      Require(shape.NumElements() > 0);
      Require(positions == 1 || (full_.rank == 4 && shape[2] == full_[2] && shape[3] == full_[3]));
      return Reshaped(file_.Read(*whole), {shape[0], shape[1] * positions});
    }
    const Shape &a = Part(name + "_a").shape, &b = Part(name + "_b").shape;
    Require(a.rank == 2 && b.rank == 2 && a.NumElements() > 0 && b.NumElements() > 0);
    rank = b[0];
    const TensorEntry* core = kernel ? layer_.Find("lokr_t2") : nullptr;
    if (core == nullptr) {
      Require(a[1] == b[0]);
      return Multiply(Read(name + "_a"), Read(name + "_b"));
    }
    Require(IsCore(core->shape, a[0], b[0]));
    return Multiply(Transposed(Read(name + "_a")), FoldMid(file_.Read(*core), Read(name + "_b")));
  }

  std::shared_ptr<const DeltaTerm> Kronecker() const {
    std::optional<int64_t> rank;
    HostTensor w1 = KroneckerFactor("lokr_w1", false, rank);
    HostTensor w2 = KroneckerFactor("lokr_w2", true, rank);
    Require(w1.shape()[0] * w2.shape()[0] == Out() && w1.shape()[1] * w2.shape()[1] == Columns() &&
            In() % w1.shape()[1] == 0);
    Scale(w1, rank ? Factor(*rank) : scale_);  // alpha counts for low ranks alone
    return std::make_shared<KroneckerTerm>(std::move(w1), std::move(w2));
  }

  std::shared_ptr<const DeltaTerm> Whole() const {
    const TensorEntry& entry = Part("diff");
    Require(entry.shape == full_ || (Positions() == 1 && IsMatrix(entry.shape, Out(), In())));
    return std::make_shared<WholeTerm>(file_.View(entry), scale_);
  }

  std::shared_ptr<const DeltaTerm> Factors() const {
    const bool inputs = file_.Read(Part("on_input")).Data<float>()[0] != 0;
    const TensorEntry& entry = Part("weight");
    Require(entry.shape.NumElements() == (inputs ? In() : Out()));
    std::vector<float> factors = Values(entry);
    for (float& factor : factors) factor = static_cast<float>(scale_ * factor);
    return std::make_shared<FactorTerm>(std::move(factors), inputs ? Positions() : 0);
  }

  std::shared_ptr<const DeltaTerm> Rotations(const StoredTensor& place,
                                             const Tensor& weight) const {
    const Shape& blocks = Part("oft_blocks").shape;
    const auto refuse = [&](const char* what) {
      throw Error(ErrorCode::kUnsupported, file_.Path().string() + ": layer " +
                                               Printable(layer_.name) + " is of " + what +
                                               ", which is not read");
    };
    if (blocks.rank == 4) refuse("BOFT (butterflies of rotations)");
    if (place.parts != 1 || place.swapped) refuse("OFT on a matrix that the model keeps in parts");
    Require(blocks.rank == 3 && blocks[1] == blocks[2] && blocks[0] * blocks[1] == Out());
    std::vector<float> rescale;
    if (const TensorEntry* entry = layer_.Find("rescale")) {
      Require(entry->shape.NumElements() == Out());
      rescale = Values(*entry);
    }
    const double alpha = layer_.scaling ? layer_.scaling->alpha : 0;
    return std::make_shared<RotationTerm>(
        weight, CayleyRotations(Read("oft_blocks"), alpha * static_cast<double>(Out())),
        std::move(rescale), scale_);
  }

  const LoraFile& file_;
  const LoraLayer& layer_;
  Shape full_;
  double scale_;
};

PlacedTerm Placed(const StoredTensor& place, int64_t out) {
  return {nullptr, out / place.count * place.part, place.swapped ? out : 0};
}

}  // namespace

PlacedTerm MakeTerm(const LoraFile& file, const LoraLayer& layer, const StoredTensor& place,
                    const Tensor& weight, double scale) {
  const int64_t out = weight.shape[0];
  Shape full = weight.shape;
  if (out % place.count != 0 || (place.swapped && out % 2 != 0)) file.ThrowUnfit(layer, full);
  full.dim[0] = out / place.count * place.parts;
  PlacedTerm placed = Placed(place, out);
  if (layer.Find("magnitude") == nullptr) {
    placed.term = TermMaker(file, layer, full, scale).Make(place, weight);
    return placed;
  }
  const TermMaker maker(file, layer, full, 1);
  bool of_inputs = false;
  std::vector<float> magnitudes = maker.Magnitudes(of_inputs);
  if (of_inputs && place.parts != 1) {
    throw Error(ErrorCode::kUnsupported,
                file.Path().string() + ": layer " + Printable(layer.name) +
                    " is of DoRA over the inputs of a matrix that the model keeps in parts, which "
                    "is not read");
  }
  placed.term = maker.Make(place, weight);
  if (!of_inputs) {
    std::vector<float> own(static_cast<size_t>(out));
    for (int64_t row = 0; row < out; ++row) {
      own[static_cast<size_t>(row)] = magnitudes[static_cast<size_t>(placed.RowOf(row))];
    }
    magnitudes = std::move(own);
  }
  return {std::make_shared<DirectionTerm>(weight, placed, std::move(magnitudes),
                                          of_inputs ? maker.Positions() : 0, scale),
          0, 0};
}

void AddVector(const LoraFile& file, const LoraLayer& layer, std::string_view part,
               const StoredTensor& place, double scale, std::span<float> values) {
  const TensorEntry* entry = layer.Find(part);
  ENSURE(entry != nullptr, std::string(part));
  const auto out = static_cast<int64_t>(values.size());
  const bool even = out % place.count == 0 && !(place.swapped && out % 2 != 0);
  if (!even || entry->shape.NumElements() != out / place.count * place.parts) {
    file.ThrowUnfit(layer, {out});
  }
  const PlacedTerm placed = Placed(place, out);
  const HostTensor added = file.Read(*entry);
  // PEFT's bias stands behind `up`, before the product is scaled.
  const TensorEntry* up = part == "bias" ? layer.Find("up") : nullptr;
  if (up != nullptr && up->shape.rank >= 2 && up->shape[1] > 0) {
    scale *= RankFactor(layer, up->shape[1]);
  }
  const auto factor = static_cast<float>(scale);
  for (int64_t i = 0; i < out; ++i) {
    values[static_cast<size_t>(i)] += factor * added.Data<float>()[placed.RowOf(i)];
  }
}

}  // namespace fovea
