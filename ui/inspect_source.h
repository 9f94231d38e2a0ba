// What the Inspect panel looks at: kept attention calls of one step, as rows that can be had in the
// frame that asks for them.
//
// The inspector (app/studio) makes a source and never changes it; the window asks it in its own
// thread. A row of a head costs one product with the head's keys, so nothing waits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/pictures/image.h"

namespace fovea {

using ImagePtr = std::shared_ptr<const Image>;

// Means over sampled rows of one head; NaN where a head has none of it.
struct HeadNumbers {
  float entropy = 0;   // over the logarithm of the number of keys: 0, one key, to 1, even
  float distance = 0;  // to the keys on the grid, in tokens
  float sink = 0;      // the most that one key gets of all rows' weight
};

struct InspectLayer {
  std::string path, kind;  // "self", "cross", "joint"
  int heads = 1;
  int rows = 0, columns = 0;              // of the queries' grid
  int queries = 0, query_begin = 0;       // all of them; the grid's first
  int keys = 0, key_begin = -1;           // all of them; the grid's first, -1: keys are text alone
  int key_rows = 0, key_columns = 0;      // of the keys' grid
  std::vector<std::pair<int, int>> text;  // runs of keys (first, count), in order of positions
  int class_token = -1;                   // of the queries; -1: none
  std::vector<HeadNumbers> numbers;       // by head
};

// Immutable; any thread.
class AttentionSource {
 public:
  virtual ~AttentionSource() = default;
  virtual const std::vector<InspectLayer>& Layers() const = 0;
  virtual int Halves() const = 0;  // of guidance: 1, or 2, the prompt's first
  // Weights of one query on all keys, as the operator that ran gave them: row.size() == keys.
  virtual void Row(int layer, int half, int head, int query, std::span<float> row) const = 0;
  // What each query of the grid gives to these keys together: map.size() == rows * columns.
  virtual void Columns(int layer, int half, int head, std::span<const int32_t> keys,
                       std::span<float> map) const = 0;
};

struct InspectWord {
  std::string text;
  std::vector<int> positions;  // of the text
};
struct InspectMap {  // made with the picture: class token, rollout
  std::string name;
  int rows = 0, columns = 0;
  std::vector<float> values;
};
struct InspectClass {
  std::string label;
  double probability = 0;
};

struct InspectView {
  int64_t picture = 0;      // of the gallery; 0: a file's
  std::string name, model;  // of what is looked at; the model's name
  bool vit = false;
  ImagePtr image;           // as the network saw it, or made it
  int step = 0, steps = 0;  // of `source`; a Vision Transformer has none
  bool busy = false;
  std::string doing;    // while busy: "running again, step 3 of 25"
  std::string problem;  // why there is no source
  std::string note;     // what was left out
  std::shared_ptr<const AttentionSource> source;
  std::vector<InspectWord> words;
  std::vector<InspectMap> maps;
  std::vector<InspectClass> classes;
  size_t kept_bytes = 0, budget_bytes = 0;
};

}  // namespace fovea
