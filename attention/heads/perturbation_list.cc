#include "attention/heads/perturbation_list.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>

#include "attention/plans/plan.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kMostIndex = 100'000;
constexpr std::string_view kBlanks = " \t\r";

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::string RangeText(int first, int last) {
  return std::to_string(first) + (last > first ? "-" + std::to_string(last) : "");
}

// One item, read from the left.
class ItemReader {
 public:
  explicit ItemReader(std::string_view text) : whole_(text), rest_(text) {}

  PerturbItem Read() {
    PerturbItem item;
    ReadLayer(&item);
    if (Take('.')) ReadHeads(&item);
    if (Take('@')) item.strength = Strength();
    if (!rest_.empty()) Bad("\"" + std::string(rest_.substr(0, 40)) + "\" follows it");
    return item;
  }

 private:
  [[noreturn]] void Bad(const std::string& what) const {
    throw Error(ErrorCode::kUsage, "perturb: \"" + std::string(whole_.substr(0, 80)) +
                                       "\": " + what +
                                       "; an item is LAYER[.HEADS][@STRENGTH], as 11.[3-7]@0.5 "
                                       "or m0/1.2");
  }
  bool Take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  int Index(const char* what) {
    int value = -1;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || value < 0 || value > kMostIndex || rest_.front() == '-') {
      Bad(std::string(what) + " must be a number from 0 to " + std::to_string(kMostIndex));
    }
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  std::pair<int, int> Range(const char* what) {
    const int first = Index(what), last = Take('-') ? Index(what) : first;
    if (last < first)
      Bad("the range " + RangeText(first, first) + "-" + std::to_string(last) +
          " ends before it begins");
    return {first, last};
  }
  void ReadLayer(PerturbItem* item) {
    if (rest_.empty()) Bad("an item is empty");
    if (Take('*')) {
      item->part = '*';
      return;
    }
    for (const char part : {'d', 'm', 'u'}) {
      if (!Take(part)) continue;
      item->part = part;
      item->first = item->last = Index("the attention module");
      if (Take('/')) item->block = Index("the transformer block");
      return;
    }
    std::tie(item->first, item->last) = Range("the layer");
  }
  void ReadHeads(PerturbItem* item) {
    if (Take('*')) return;
    if (!Take('[')) {
      const int head = Index("the head");
      item->heads.emplace_back(head, head);
      return;
    }
    do {
      item->heads.push_back(Range("a head"));
    } while (Take(','));
    if (!Take(']')) Bad("the list of heads is not closed");
  }
  double Strength() {
    double value = -1;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || !(value >= 0 && value <= 1)) {
      Bad("the strength must be a number from 0 to 1");
    }
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }

  std::string_view whole_, rest_;
};

// A site as lists name it.
struct LayerName {
  char part = 0;  // as PerturbItem
  int index = 0;  // of the block, or of the attention module in its part
  int block = 0;  // of the module's transformer blocks
};

bool IsPerturbable(const AttentionSite& site) {
  return site.kind == SiteKind::kSelf || site.kind == SiteKind::kJoint;
}

// The names of all sites: blocks and modules are counted in order of execution.
std::vector<LayerName> NameLayers(std::span<const AttentionSite> sites) {
  std::vector<LayerName> names;
  std::map<std::string, int> counted;  // a block's or module's path -> its index
  std::map<char, int> next;
  for (const AttentionSite& site : sites) {
    LayerName name;
    const std::string& path = site.path;
    std::string unit = path.substr(0, path.rfind('.'));
    constexpr std::string_view kBlocks = ".transformer_blocks.";
    const size_t blocks = path.find(kBlocks);
    if (path.starts_with("down_blocks.")) name.part = 'd';
    if (path.starts_with("mid_block.")) name.part = 'm';
    if (path.starts_with("up_blocks.")) name.part = 'u';
    if (name.part != 0 && blocks != std::string::npos) {
      const char* digits = path.data() + blocks + kBlocks.size();
      std::from_chars(digits, path.data() + path.size(), name.block);
      unit = path.substr(0, blocks);
    }
    const auto [found, is_new] = counted.emplace(unit, next[name.part]);
    if (is_new) ++next[name.part];
    name.index = found->second;
    names.push_back(name);
  }
  return names;
}

// What a person may write instead: "0-23", or "d0-d5, m0, u0-u8".
std::string KnownLayers(std::span<const LayerName> names) {
  std::map<char, int> last;
  for (const LayerName& name : names) last[name.part] = std::max(last[name.part], name.index);
  std::string text;
  for (const auto& [part, index] : last) {
    const std::string letter = part == 0 ? "" : std::string(1, part);
    text += (text.empty() ? "" : ", ") + letter + "0";
    if (index > 0) text += "-" + letter + std::to_string(index);
  }
  return text;
}

[[noreturn]] void Unmatched(const PerturbItem& item, const std::string& why) {
  throw Error(ErrorCode::kUnsupported, "perturb: \"" + item.Text() + "\" " + why);
}

HeadPerturbation HeadsAt(const PerturbItem& item, const AttentionSite& site) {
  HeadPerturbation out{site.index, {}, static_cast<float>(item.strength)};
  for (const auto& [first, last] : item.heads) {
    if (last >= site.heads) {
      Unmatched(item, "names head " + std::to_string(last) + ", but " + site.path +
                          " has heads 0-" + std::to_string(site.heads - 1));
    }
    for (int head = first; head <= last; ++head) out.heads.push_back(head);
  }
  return out;
}

}  // namespace

std::string PerturbItem::Text() const {
  std::string text = part == 0 ? RangeText(first, last) : std::string(1, part);
  if (part != 0 && part != '*') text += std::to_string(first);
  if (block >= 0) text += "/" + std::to_string(block);
  if (heads.size() == 1 && heads[0].first == heads[0].second) {
    text += "." + std::to_string(heads[0].first);
  } else if (!heads.empty()) {
    std::string list;
    for (const auto& [from, to] : heads) list += (list.empty() ? "" : ",") + RangeText(from, to);
    text += ".[" + list + "]";
  }
  if (strength != 1) {
    char number[32];
    const auto end = std::to_chars(number, number + sizeof number, strength).ptr;
    text += "@" + std::string(number, end);
  }
  return text;
}

PerturbList PerturbList::Parse(std::string_view text) {
  PerturbList list;
  std::string_view rest = text;
  bool more = false;  // after a comma
  while (!rest.empty()) {
    const size_t line_end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(std::min(line_end + 1, rest.size()));
    line = Trim(line.substr(0, line.find('#')));
    while (!line.empty()) {
      // A comma inside of brackets separates heads.
      size_t end = 0;
      for (bool inside = false; end < line.size() && (inside || line[end] != ','); ++end) {
        if (line[end] == '[') inside = true;
        if (line[end] == ']') inside = false;
      }
      list.items_.push_back(ItemReader(Trim(line.substr(0, end))).Read());
      more = end < line.size();
      line = Trim(line.substr(std::min(end + 1, line.size())));
    }
  }
  if (more) {
    throw Error(ErrorCode::kUsage, "perturb: nothing follows the last comma; take it away");
  }
  return list;
}

std::string PerturbList::Text() const {
  std::string text;
  for (const PerturbItem& item : items_) text += (text.empty() ? "" : ",") + item.Text();
  return text;
}

std::vector<HeadPerturbation> PerturbList::Resolve(std::span<const AttentionSite> sites) const {
  const std::vector<LayerName> names = NameLayers(sites);
  std::vector<HeadPerturbation> heads;
  for (const PerturbItem& item : items_) {
    std::vector<int> found;  // indices that matched, of I-J
    bool crosses = false;
    int previous = -1;
    for (size_t i = 0; i < sites.size(); ++i) {
      const LayerName& name = names[i];
      if (item.part != '*') {
        if (name.part != item.part || name.index < item.first || name.index > item.last) continue;
        if (item.block >= 0 && name.block != item.block) continue;
        if (!IsPerturbable(sites[i])) {
          crosses = true;
          continue;
        }
        // Of a transformer's block, the first attention: SD3.5 has a second, image-only one.
        if (item.part == 0 && name.index == previous) continue;
        previous = name.index;
      } else if (!IsPerturbable(sites[i])) {
        continue;
      }
      found.push_back(name.index);
      heads.push_back(HeadsAt(item, sites[i]));
    }
    const bool all =
        item.part == '*' || (std::find(found.begin(), found.end(), item.first) != found.end() &&
                             std::find(found.begin(), found.end(), item.last) != found.end());
    if (!found.empty() && all) continue;
    if (found.empty() && crosses) {
      Unmatched(item,
                "is cross-attention, whose values have no row for each query; name a layer of "
                "self- or joint attention");
    }
    Unmatched(item, "matches no layer of this model, whose layers are " + KnownLayers(names) +
                        "; fovea info MODEL --layers lists them");
  }
  std::erase_if(heads, [](const HeadPerturbation& each) { return each.strength == 0; });
  return heads;
}

std::vector<NamedHead> HeadsOf(std::span<const AttentionSite> sites) {
  const std::vector<LayerName> names = NameLayers(sites);
  std::map<std::pair<char, int>, int> last_block;  // of a U-Net's module
  for (const LayerName& name : names) {
    int& last = last_block[{name.part, name.index}];
    last = std::max(last, name.block);
  }
  std::vector<NamedHead> heads;
  std::string previous;
  for (size_t i = 0; i < sites.size(); ++i) {
    if (!IsPerturbable(sites[i])) continue;
    const LayerName& name = names[i];
    std::string layer = name.part == 0 ? "" : std::string(1, name.part);
    layer += std::to_string(name.index);
    if (last_block[{name.part, name.index}] > 0) layer += "/" + std::to_string(name.block);
    if (layer == previous) continue;
    previous = layer;
    for (int head = 0; head < sites[i].heads; ++head) {
      heads.push_back({layer + "." + std::to_string(head), layer, sites[i].index, head});
    }
  }
  return heads;
}

PerturbKindChoice ParsePerturbKind(std::string_view text) {
  const auto bad = [&]() -> Error {
    return {ErrorCode::kUsage,
            "perturb-kind: \"" + std::string(text.substr(0, 80)) +
                "\" is not identity, uniform, zero, meanq, blur:SIGMA, blur:inf, "
                "skip or op:SPEC"};
  };
  constexpr std::string_view kBlur = "blur:", kOp = "op:";
  if (text == "skip") return {.skip = true};
  if (text == "identity") return {.kind = PerturbKind::kIdentity};
  if (text == "uniform") return {.kind = PerturbKind::kUniform};
  if (text == "zero") return {.kind = PerturbKind::kZero};
  if (text == "meanq") return {.kind = PerturbKind::kMeanQuery};
  if (text.starts_with(kOp)) {
    return {.kind = PerturbKind::kOperator, .op = ParseOperator(text.substr(kOp.size()))};
  }
  if (!text.starts_with(kBlur)) throw bad();
  const std::string_view number = text.substr(kBlur.size());
  double sigma = std::numeric_limits<double>::infinity();
  if (number != "inf") {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), sigma);
    if (error != std::errc() || end != number.data() + number.size() || !(sigma > 0) ||
        !std::isfinite(sigma)) {
      throw bad();
    }
  }
  return {.kind = PerturbKind::kBlur, .sigma = sigma};
}

PerturbScope ParsePerturbScope(std::string_view text) {
  if (text == "all") return PerturbScope::kAll;
  if (text == "img-pure") return PerturbScope::kImagePure;
  if (text == "img-renorm") return PerturbScope::kImageRenorm;
  throw Error(ErrorCode::kUsage, "perturb-scope: \"" + std::string(text.substr(0, 80)) +
                                     "\" is not all, img-pure or img-renorm");
}

}  // namespace fovea
