// embed MODEL_FOLDER PICTURE.png: renders a picture and reads one row of attention on the way.
#include <algorithm>
#include <iostream>

#include "attention/probe/call_matrix.h"
#include "pipelines/generation/text_to_image.h"
#include "pipelines/pictures/formats/png_file.h"

// What the token in the middle of the picture looks at, in the first site and the last step.
struct RowReader : fovea::AttentionListener {
  void Attended(fovea::Context& ctx, const fovea::AttentionCall& call) override {
    if (call.step + 1 < call.steps || !row.empty()) return;
    const auto matrix = fovea::MatrixOf(ctx, call);
    const auto query = static_cast<int32_t>(matrix->Queries() / 2);
    row.resize(static_cast<size_t>(matrix->Keys()));
    // With guidance the last sample is the one that has the prompt.
    matrix->Rows(matrix->Samples() - 1, 0, {&query, 1}, row.data());
    site = call.site.path;
  }
  std::string site;
  std::vector<float> row;
};

int main(int argc, char** argv) try {
  if (argc != 3) return std::cerr << "usage: embed MODEL_FOLDER PICTURE.png\n", 2;
  const auto backend = fovea::MakeCpuBackend();
  const auto pipeline = fovea::TextToImage::Load(fovea::OpenModelFolder(argv[1]), *backend);
  fovea::GenerateSettings settings;
  settings.prompt = "a red cube";
  settings.seed = 7;
  settings.steps = 8;
  RowReader reader;
  const fovea::Generated made = pipeline->Run(settings, {}, {.listeners = {&reader}});
  fovea::WritePng(argv[2], made.images[0], {});
  const auto most = std::max_element(reader.row.begin(), reader.row.end());
  std::cout << reader.site << ": " << reader.row.size() << " keys, most to key "
            << most - reader.row.begin() << " (" << *most << ")\n";
} catch (const fovea::Error& error) {
  std::cerr << "embed: " << error.what() << "\n";
  return 1;
}
