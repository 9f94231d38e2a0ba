// Which heads of which layers are perturbed, and how: the texts of --perturb, --perturb-kind and
// --perturb-scope.
//
//   list = item {("," | line break) item}     item = LAYER ["." HEADS] ["@" STRENGTH]
//   HEADS = H | "[" H ["-" H] {"," H ["-" H]} "]" | "*"; all without it
//   LAYER of a transformer: block I, I-J, or "*": every self- or joint-attention layer.
//   LAYER of a U-Net: dI, mI, uI, the I-th attention module of the down, mid or up part in order of
//   execution, with "/J" its J-th transformer block alone; or "*".
// A "#" begins a comment that ends with its line. Numbers are exact indices, never parts of names.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attention/attention_site.h"
#include "attention/heads/perturbation.h"

namespace fovea {

struct PerturbItem {
  char part = 0;                           // 'd', 'm', 'u' of U-Nets; 0: a transformer; '*': all
  int first = 0, last = 0;                 // inclusive
  int block = -1;                          // of transformer blocks of a U-Net's module; -1: all
  std::vector<std::pair<int, int>> heads;  // inclusive; empty: all
  double strength = 1;                     // 0 to 1
  std::string Text() const;                // "11.[3-7]@0.5"
};

class PerturbList {
 public:
  PerturbList() = default;  // nothing
  // Pure; fuzzed. Throws kUsage naming the item.
  static PerturbList Parse(std::string_view text);

  std::span<const PerturbItem> Items() const { return items_; }
  bool Empty() const { return items_.empty(); }
  std::string Text() const;  // Parse(Text()) is the same list
  // The heads of this model, in the order of the list, without those of strength 0. Throws
  // kUnsupported naming an item that matches no layer or a head that its layer lacks.
  std::vector<HeadPerturbation> Resolve(std::span<const AttentionSite> sites) const;

 private:
  std::vector<PerturbItem> items_;
};

// One head of a model, and how a list names it alone: "13.7", "m0/1.2".
struct NamedHead {
  std::string item, layer;  // "m0/1.2", "m0/1"
  int site = 0;             // AttentionSite::index
  int head = 0;
};
// Every head that an item can name alone, by site and head: all of self- and joint attention but
// for the second attention of SD3.5's blocks.
std::vector<NamedHead> HeadsOf(std::span<const AttentionSite> sites);

// What --perturb-kind names. `skip`: whole blocks pass their input through, which is the models'
// work, not the attention's.
struct PerturbKindChoice {
  bool skip = false;
  PerturbKind kind = PerturbKind::kIdentity;
  double sigma = 0;   // of kBlur; infinity: the mean
  OperatorSpec op{};  // of kOperator
};
// "identity", "uniform", "zero", "meanq", "blur:SIGMA", "blur:inf", "skip", "op:SPEC". kUsage.
PerturbKindChoice ParsePerturbKind(std::string_view text);
PerturbScope ParsePerturbScope(std::string_view text);  // "all", "img-pure", "img-renorm". kUsage

}  // namespace fovea
