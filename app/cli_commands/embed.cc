// `fovea embed`: pictures and texts as vectors.
#include <chrono>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "app/built_in_models.h"
#include "app/cli_commands/commands.h"
#include "app/flags/common_flags.h"
#include "app/output_files.h"
#include "app/picture_list.h"
#include "app/process/exit_code.h"
#include "app/process/stop_signals.h"
#include "app/progress.h"
#include "models/files/safetensors.h"
#include "models/files/text_file.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/settings/plan_source.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/picture_model.h"
#include "pipelines/vision/text_model.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostTextBytes = 64 << 20;

struct EmbedFlags {
  CommonFlags common;
  ModelFlags models;
  std::vector<std::string> inputs;
  std::optional<std::string> out, attention;

  void Add(Flags& flags);
};

void EmbedFlags::Add(Flags& flags) {
  flags.TextList("PICTURE|DIR|TEXTFILE", "", inputs,
                 "pictures, folders of pictures, and .txt files with a text on each line");
  models.Add(flags, "the built-in still-life-clip");
  models.AddComponent(flags);
  flags.Text("--out", "F.safetensors", out, "tensor `embeddings` [n, dim]; replaced if it exists");
  flags.Text("--attention", "PLAN", attention,
             "attention plan: [LAYERS:]OPERATOR;..., @FILE or preset:NAME", "dense");
  common.Add(flags);
}

// One row of the result.
struct Item {
  fs::path file;
  bool named = true;  // as ListedPicture
  bool is_text = false;
  std::string text;
};

void AddLines(const fs::path& file, std::vector<Item>& items) {
  const std::string content = ReadTextFile(file, kMostTextBytes);
  CheckUtf8(file.string(), content);
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string line = content.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) items.push_back({file, true, true, std::move(line)});
    begin = end + 1;
  }
}

std::vector<Item> ListItems(const std::vector<std::string>& inputs) {
  std::vector<Item> items;
  for (const std::string& input : inputs) {
    if (fs::path(input).extension() == ".txt") {
      const size_t before = items.size();
      AddLines(input, items);
      if (items.size() == before) throw Error(ErrorCode::kBadFile, input + ": holds no text");
      continue;
    }
    for (const ListedPicture& each : ListPictures({input})) {
      items.push_back({each.file, each.named, false, {}});
    }
  }
  return items;
}

// Models are loaded when the first item of their kind comes.
class Embedder {
 public:
  Embedder(const EmbedFlags& flags, ForwardOptions options)
      : flags_(flags),
        options_(std::move(options)),
        backend_(flags.common.MakeDevice()),
        folder_(flags.models.Open(flags.models.model.value_or("still-life-clip"))) {}

  // Empty: a picture of a folder that cannot be read.
  std::optional<HostTensor> Embed(const Item& item) {
    if (!item.is_text) {
      const std::optional<Image> picture = reader_.Read({item.file, item.named});
      if (!picture) return std::nullopt;
      if (pictures_ == nullptr) {
        pictures_ =
            PictureModel::Load(FindPictureComponent(folder_, flags_.models.component), *backend_);
      }
      return pictures_->Embed(*picture, options_);
    }
    if (texts_ == nullptr) {
      const ComponentFolder& text = FindTextComponent(folder_);
      const auto& given = flags_.models.tokenizer;
      texts_ = TextModel::Load(text, given ? fs::path(*given) : FindTextTokenizer(folder_, text),
                               *backend_);
    }
    bool cut = false;
    HostTensor row = texts_->Embed(item.text, options_, &cut);
    if (cut) PrintWarning(item.file.string() + ": a text was too long and was cut: " + item.text);
    return row;
  }
  const PictureListReader& Reader() const { return reader_; }

 private:
  const EmbedFlags& flags_;
  ForwardOptions options_;
  std::unique_ptr<Backend> backend_;
  ModelFolder folder_;
  std::unique_ptr<PictureModel> pictures_;
  std::unique_ptr<TextModel> texts_;
  PictureListReader reader_;
};

HostTensor Stack(const std::vector<HostTensor>& rows) {
  const int64_t dim = rows.front().NumElements();
  HostTensor table({static_cast<int64_t>(rows.size()), dim}, DType::kF32);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].NumElements() != dim) {
      throw Error(ErrorCode::kUnsupported,
                  "pictures give vectors of " + std::to_string(dim) + " numbers and texts of " +
                      std::to_string(rows[i].NumElements()) +
                      "; embed them apart, or with a model that projects both");
    }
    std::memcpy(table.Data<float>() + static_cast<int64_t>(i) * dim, rows[i].data(),
                rows[i].Bytes());
  }
  return table;
}

int RunEmbed(const EmbedFlags& flags) {
  flags.common.Apply();
  if (flags.inputs.empty()) {
    throw Error(ErrorCode::kUsage, "name a picture, a folder or a text file");
  }
  if (!flags.out) throw Error(ErrorCode::kUsage, "name the file of the embeddings with --out");
  const StopSignals signals;
  ForwardOptions options;
  options.dtype = flags.common.ComputeType();
  options.stop = signals.Token();
  options.attention = ReadPlan(flags.attention.value_or(""), BuiltInPlansFolder());
  OutputFiles files;
  const auto temporary = files.Replace(*flags.out);
  const std::vector<Item> all = ListItems(flags.inputs);
  Embedder embedder(flags, options);

  std::vector<HostTensor> rows;
  std::vector<Item> items;  // of the rows
  Progress progress;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    std::optional<HostTensor> row = embedder.Embed(all[i]);
    signals.ThrowIfStopped();
    if (!row) continue;
    rows.push_back(std::move(*row));
    items.push_back(all[i]);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (all.size() > 1) {
      progress.Step(static_cast<int>(i + 1), static_cast<int>(all.size()), seconds.count());
    }
  }
  progress.End();
  const int code = embedder.Reader().ExitCode(all.size());
  NamedTensors outputs;
  outputs["embeddings"] = Stack(rows);
  WriteSafetensors(temporary, outputs);
  files.Commit();

  const Shape& shape = outputs.at("embeddings").shape();
  if (flags.common.json) {
    nlohmann::ordered_json json;
    json["file"] = *flags.out;
    json["embeddings"] = {shape[0], shape[1]};
    auto names = nlohmann::ordered_json::array();
    auto texts = nlohmann::ordered_json::array();
    bool any_text = false;
    for (const Item& item : items) {
      names.push_back(item.file.string());
      texts.push_back(item.is_text ? nlohmann::ordered_json(item.text) : nullptr);
      any_text = any_text || item.is_text;
    }
    json["files"] = std::move(names);
    if (any_text) json["texts"] = std::move(texts);  // null where the row is a picture's
    for (const fs::path& file : embedder.Reader().Skipped()) {
      json["skipped"].push_back(file.string());
    }
    PrintJson(json);
  } else {
    std::printf("%s\n", flags.out->c_str());
  }
  return code;
}

}  // namespace

Command EmbedCommand() {
  const auto flags = std::make_shared<EmbedFlags>();
  return {"embed", "turn pictures and texts into vectors",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunEmbed(*flags); }};
}

}  // namespace fovea
